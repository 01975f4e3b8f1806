"""The answer of a model to one question, and the cleaning of its text."""

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from schemas.text import storable

MAX_TEXT_CHARS = 200_000
"""A longer text is truncated.

Hours of speech fit, but not the endless output of a broken server.
"""
_MOST_TOKENS = 10**9

AnswerFailure = Literal[
    "refused_by_model", "answer_truncated", "unsupported_by_model", "audio_too_short"
]


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The answer of one call of a model. `failure` is set if there is no text, and says why.

    `cost_microusd` is None if no price is known. `requested_model` is the name of the
    model in the request, `model` its name in the answer.
    """

    text: str
    model: str
    requested_model: str = ""
    failure: AnswerFailure | None = None
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None
    latency_ms: int = 0

    @property
    def refused(self) -> bool:
        return self.failure == "refused_by_model"

    def after(self, earlier: "ModelAnswer") -> "ModelAnswer":
        """This answer with the usage and cost of an earlier call for the same file added."""
        return replace(
            self,
            input_tokens=self.input_tokens + earlier.input_tokens,
            output_tokens=self.output_tokens + earlier.output_tokens,
            cost_microusd=sum_of_costs(self.cost_microusd, earlier.cost_microusd),
            latency_ms=self.latency_ms + earlier.latency_ms,
        )


def sum_of_costs(one: int | None, other: int | None) -> int | None:
    """The sum, or None if one of the costs is unknown: a partial bill must not look complete."""
    return None if one is None or other is None else one + other


def text_of(output: str) -> str:
    """The answer without the model's reasoning, storable and of bounded length.

    It is empty if only punctuation, marks and invisible characters are left.
    """
    text = storable(without_thinking(output[:MAX_TEXT_CHARS])).strip()
    return text if any(unicodedata.category(char)[0] in "LNS" for char in text) else ""


def content_of(content: object) -> str:
    """The text of a message, which some servers send in parts.

    Parts with reasoning are left out.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError("neither a text nor parts")
    parts = [{"text": part} if isinstance(part, str) else part for part in content]
    return "".join(
        part["text"]
        for part in parts
        if part.get("type", "text") in ("text", "output_text") and isinstance(part["text"], str)
    )


_NAMES = (
    r"(?:\w{1,12}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad"
    r"|chain_of_thought|(?:thought|thinking|reasoning)_process|inner_(?:monologue|thoughts?))"
)
_LESS, _MORE = r"(?:<|＜|&lt;)", r"(?:>|＞|&gt;)"
_IN_BRACKETS = r"think(?:ing)?|reasoning"
_OPENS = rf"{_LESS}\s*{_NAMES}\b[^<>＜＞&]{{0,200}}(?<!/){_MORE}|\[(?:{_IN_BRACKETS})\]|◁think▷"
_OPENS += r"|<\|(?:begin_of_thought|thought_start|start_thinking|thinking|think)\|>"
_OPENS += r"|<\|channel>\s*\w*|<unused94>"
_CLOSES = rf"{_LESS}\s*/\s*{_NAMES}\s*{_MORE}|\[/(?:{_IN_BRACKETS})\]|◁/think▷"
_CLOSES += r"|<\|(?:end_of_thought|thought_end|end_thinking|/thinking|/think)\|>"
_CLOSES += r"|<channel\|>|<unused95>"
_TAG = re.compile(rf"(?P<closes>{_CLOSES})|(?P<opens>{_OPENS})", re.IGNORECASE)
_NAME = re.compile(r"[a-z_]+", re.IGNORECASE)
_WHOLE_BLOCKS = re.compile(
    rf"{_LESS}\s*{_NAMES}\s*/\s*{_MORE}"
    r"|<details\b[^<>]*\btype=[\"']?reasoning.*?(?:</details>|\Z)"
    r"|^[^\S\n]*```[^\S\n]*(?:think(?:ing)?|thoughts?|reasoning)[^\S\n]*\n.*?(?:^[^\S\n]*```|\Z)"
    r"|\A\s*Thinking\.\.\.\s.*?\.\.\.done thinking\.",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+).{0,200}?<\|message\|>", re.DOTALL)
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_BARE_CHANNELS = re.compile(r"\A\s*analysis.*?assistantfinal(?=\W|[A-Z¡¿])\s*", re.DOTALL)
_LEFT_OVER = re.compile(
    r"<\|(?:begin|end)_of_(?:solution|box)\|>|<\|(?:start|end)_response\|>"
    r"|<\|(?:im_end|end|return)\|>",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"<(?:final_)?answer>|<\|(?:begin_of_solution|start_response)\|>", re.IGNORECASE
)
_WRAPPED = re.compile(
    r"\A\s*<(?P<name>(?:final_)?answer|response)>(?P<text>.*?)(?:</(?P=name)>)?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_DEEPEST = 20
_QUOTES = "`\"'“”‘’«»"


def without_thinking(output: str) -> str:
    """Removes a model's reasoning, in every notation that chat templates use.

    An unclosed block extends to the answer or to the end of the text, if it begins
    where a block can begin: a tag within a sentence belongs to what the model saw. A
    block without an opening tag begins with the text, because some templates put that
    tag into the prompt.
    """
    if "<|channel|>" in output:
        return _final_channel(output)
    output = _WHOLE_BLOCKS.sub("", _BARE_CHANNELS.sub("", output))
    parts: list[str] = []
    end = 0
    for begin, until in sorted(_blocks(output)):
        if begin > end:
            parts.append(output[end:begin])
        end = max(end, until)
    parts.append(output[end:])
    text = _LEFT_OVER.sub("", "".join(parts))
    wrapped = _WRAPPED.match(text)
    return text if wrapped is None else wrapped["text"]


def _blocks(output: str) -> list[tuple[int, int]]:
    """The positions of blocks of reasoning as (begin, end). They may overlap."""
    found: list[tuple[int, int]] = []
    opened: list[re.Match[str]] = []
    after_a_tag = 0
    starts: set[int] = set()
    for tag in _TAG.finditer(output):
        if _is_quoted(output, tag):
            continue
        if tag["opens"] is None:
            found.append((_opening(opened, tag), tag.end()))
        else:
            opened.append(tag)
            if _may_begin(output, tag.start(), after_a_tag):
                starts.add(tag.start())
        after_a_tag = tag.end()
    unclosed = next((tag for tag in opened if tag.start() in starts), None)
    if unclosed is not None:
        answer = _ANSWER.search(output, unclosed.end())
        found.append((unclosed.start(), answer.start() if answer else len(output)))
    return found


def _opening(opened: list[re.Match[str]], closing: re.Match[str]) -> int:
    """The beginning of the block that a closing tag ends.

    It is the last tag of the same name, else the last one, else the beginning of the
    text.
    """
    names = [_name(tag) for tag in opened[-_DEEPEST:]]
    name = _name(closing)
    same = next((at for at in range(-1, -len(names) - 1, -1) if names[at] == name), -1)
    return opened.pop(same).start() if opened else 0


def _name(tag: re.Match[str]) -> str:
    found = _NAME.search(tag[0])
    return found[0].lower() if found else ""


def _may_begin(output: str, at: int, after_a_tag: int) -> bool:
    """True at the beginning of the text or a line, after another tag, or after a sentence."""
    before = output[max(after_a_tag, at - 200) : at]
    line = before.rstrip(" \t")
    is_first = not line and at - after_a_tag < 200
    return is_first or line.endswith("\n") or before.endswith((".", "!", "?", "…", "。"))


def _is_quoted(output: str, tag: re.Match[str]) -> bool:
    before, after = output[max(0, tag.start() - 1) : tag.start()], output[tag.end() : tag.end() + 1]
    return bool(before and after) and before in _QUOTES and after in _QUOTES


def _final_channel(output: str) -> str:
    """The last `final` channel of the harmony format, or nothing if there is none."""
    text = ""
    for channel in _CHANNEL.finditer(output):
        if channel["name"] == "final":
            text = _CHANNEL_END.split(output[channel.end() :], maxsplit=1)[0]
    return text


_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?=\s|$)")


def whole_sentences(text: str) -> str:
    """The text up to the end of its last whole sentence; empty if it has none."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def one_line(text: str) -> str:
    """A transcript with its line breaks replaced by spaces.

    Some servers put a line break after each segment.
    """
    return " ".join(text.split())


def tokens_of(usage: object, name: str) -> int:
    """A count as sent by the server, or 0 if it is not a valid count.

    An answer must not be lost because of its bill.
    """
    count = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count <= _MOST_TOKENS else 0
