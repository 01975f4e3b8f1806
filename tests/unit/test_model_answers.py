"""The part of a model's answer that is used: no reasoning, no half sentence, no refusal."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.models.answers import text_of, whole_sentences
from connectors.models.errors import ModelUnavailable
from tests.unit.model_servers import Asked, Said, asking, completion

FIELD = Path(__file__).parents[1] / "field" / "model-cut-off-is-no-refusal"
USAGE = {"prompt_tokens": 900, "completion_tokens": 400, "total_tokens": 1300}


def field(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIELD / name).read_text())
    return found


THOUGHTS = [
    "<think>They want a caption. A car.</think>\nA red car.",
    "<THINK>\n\n</THINK>A red car.",
    "<thinking type='x'>a < b</thinking>A red car.",
    "They want a caption.</think>A red car.",
    "A red car.<think>And now",
    "<think>a<think>b</think>c</think>A red car.",
    "<thought>x</thought><reasoning>y</reasoning>A red car.",
    "[THINK]x[/THINK]A red car.",
    "◁think▷x◁/think▷A red car.",
    "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>A red car.<|return|>",
    "<|channel>thought\nx<channel|>A red car.",
    "analysisThey want it.assistantfinalA red car.",
    "<|begin_of_thought|>x<|end_of_thought|><|begin_of_solution|>A red car.<|end_of_solution|>",
    "<unused94>thought\nx<unused95>A red car.",
    "< think >x</ think >A red car.",
    "<think/>A red car.",
    "<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>A red car.<|END_RESPONSE|>",
    "<|begin_of_box|>A red car.<|end_of_box|>",
    "<longcat_think>x</longcat_think>A red car.",
    "<chain_of_thought>x</chain_of_thought>A red car.",
    "<thought_process>x</thought_process>A red car.",
    "<thinking_process>x</thinking_process>A red car.",
    "<inner_monologue>x</inner_monologue>A red car.",
    "[thinking]x[/thinking]A red car.",
    "```think\nx\n```\nA red car.",
    "＜think＞x＜/think＞A red car.",
    "&lt;think&gt;x&lt;/think&gt;A red car.",
    '<details type="reasoning"><summary>Thought</summary>x</details>A red car.',
    "<think>x</think><answer>A red car.</answer>",
    "<think>x<answer>A red car.</answer>",
    "A red car.\n<think>And now",
    "<think>A sign <analysis> there</think>A red car.",
]


@pytest.mark.parametrize("said", THOUGHTS)
def test_what_a_model_writes_to_itself_is_not_part_of_its_answer(said: str) -> None:
    assert text_of(said) == "A red car."


@pytest.mark.parametrize(
    "said", ["<think>", "<think>and on", "<|channel|>analysis<|message|>x", "<thinking>a</think"]
)
def test_reasoning_that_never_ends_leaves_no_answer(said: str) -> None:
    assert text_of(said) == ""


@pytest.mark.parametrize(
    "said",
    [
        "I think it is a <b>car</b>.",
        "An analysis of blood.",
        "5 < 6 and 7 > 3",
        "A <thinker>.",
        "A screenshot of HTML with <think> in it. It is a tutorial.",
        "A sign says <analysis> in red.",
        "analysis of blood: the assistant final report",
        "A screenshot of code: `</think>` closes it.",
        'It says "<think>" and "</think>" in white.',
    ],
)
def test_an_answer_that_only_looks_like_reasoning_is_left_alone(said: str) -> None:
    assert text_of(said) == said


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("A car. It is re", "A car."),
        ("«¿Qué?» Una mesa. Dice «pan.» Y", "«¿Qué?» Una mesa. Dice «pan.»"),
        ("A car costs 1.250 eu", ""),
        ("", ""),
        ("A car.", "A car."),
        ("红色的车。在", ""),
    ],
)
def test_a_cut_text_ends_with_its_last_whole_sentence(said: str, whole: str) -> None:
    assert whole_sentences(said) == whole


async def test_reasoning_in_an_answer_never_reaches_a_description_or_a_transcript() -> None:
    def say(asked: Asked) -> Said:
        if "audio" in asked.path:
            return 200, {"text": "<think>Hm.</think> Hola,\n buenas\n tardes.\n"}
        return 200, field("think.json")

    async with asking(say) as client:
        assert (await client.see()).text == "A red car."
        assert (await client.hear()).text == "Hola, buenas tardes."


@pytest.mark.parametrize("name", ["empty.json", "null.json"])
async def test_an_answer_that_was_cut_before_it_said_anything_gets_more_room_once(
    name: str,
) -> None:
    answers = [(200, field(name)), (200, completion("A red car.", usage=USAGE))]
    async with asking(lambda _: answers.pop(0)) as client:
        answer = await client.see()
    rooms = [one.sent["max_completion_tokens"] for one in client.server.asked]
    assert (answer.text, answer.failure) == ("A red car.", None)
    assert (answer.input_tokens, answer.output_tokens) == (1800, 800)
    assert rooms == [400, 2400]


@pytest.mark.parametrize("name", ["empty.json", "null.json"])
async def test_an_answer_that_is_cut_twice_has_a_reason_of_its_own_and_its_cost(name: str) -> None:
    async with asking(lambda _: (200, field(name)), prices="always") as client:
        answer = await client.see()
    assert (answer.failure, answer.refused, answer.output_tokens) == (
        "answer_truncated",
        False,
        800,
    )
    assert len(client.server.asked) == 2


async def test_thinking_without_an_end_is_a_cut_answer() -> None:
    said = completion("<think>They want", finish="length")
    async with asking(lambda _: (200, said)) as client:
        assert (await client.see()).failure == "answer_truncated"


async def test_a_cut_answer_is_kept_up_to_its_last_whole_sentence() -> None:
    said = completion("A red car. Its plate is", finish="length")
    async with asking(lambda _: (200, said)) as client:
        answer = await client.see()
    assert (answer.text, answer.failure, len(client.server.asked)) == ("A red car.", None, 1)


async def test_a_sentence_that_is_cut_twice_is_kept_and_shows_that_it_breaks_off() -> None:
    async with asking(lambda _: (200, completion("A red", finish="length"))) as client:
        assert (await client.see()).text == "A red …"


@pytest.mark.parametrize("name", ["tags", "fences", "spaces", "openers"])
def test_a_hostile_text_is_read_in_time(name: str) -> None:
    unit = {
        "tags": "<think></analysis>",
        "fences": "```think\n",
        "spaces": "<  ",
        "openers": "a <think> ",
    }
    began = time.process_time()
    text_of(unit[name] * 20_000)
    assert time.process_time() - began < 5


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
    {"type": "text", "text": "A red "},
    {"type": "text", "text": "car."},
]


async def test_an_answer_in_parts_is_read_without_the_reasoning() -> None:
    async with asking(lambda _: (200, completion(PARTS))) as client:
        assert (await client.see()).text == "A red car."


@pytest.mark.parametrize(
    ("content", "finish", "failure", "text"),
    [
        ("A red car. Its plate is", "max_tokens", None, "A red car."),
        ("", "SAFETY", "refused_by_model", ""),
        (None, "prohibited_content", "refused_by_model", ""),
        ("I'm sorry, but I can't", "length", "refused_by_model", ""),
        ("I'm sorry, but I can't help with that. If", "length", "refused_by_model", ""),
    ],
)
async def test_the_end_of_an_answer_says_whether_it_was_cut_or_refused(
    content: str | None, finish: str, failure: str | None, text: str
) -> None:
    async with asking(lambda _: (200, completion(content, finish=finish))) as client:
        answer = await client.see()
    assert (answer.failure, answer.text) == (failure, text)


@pytest.mark.parametrize(
    "content", ["", None, "  \n", "<think>x</think>", " \n\u200b ", "...", "null", [], [7]]
)
async def test_an_empty_answer_is_malformed_and_no_refusal(content: Any) -> None:
    async with asking(lambda _: (200, completion(content))) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.see()
    assert (caught.value.trouble, caught.value.hold) == ("model_malformed_answer", False)


async def test_reasoning_in_a_field_of_its_own_is_not_read() -> None:
    said = completion("A car.")
    said["choices"][0]["message"] |= {"reasoning_content": "Hm.", "reasoning": "Hm."}
    async with asking(lambda _: (200, said)) as client:
        assert (await client.see()).text == "A car."


async def test_an_answer_without_a_model_or_a_usage_is_an_answer() -> None:
    def say(asked: Asked) -> Said:
        return 200, {"text": "Hola"} if "audio" in asked.path else completion("A.", model=None)

    async with asking(say) as client:
        assert [(await client.ask(sense)).model for sense in ("vision", "speech")] == [
            "some-model"
        ] * 2
