"""What became of one question to a model, and the text of it made fit to be kept."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from schemas.text import storable

MAX_TEXT_CHARS = 200_000
"""A longer text is cut: hours of speech fit, what a broken server says without end does not."""
_MOST_TOKENS = 10**9

Failure = Literal["refused_by_model", "answer_truncated", "unsupported_by_model", "audio_too_short"]


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """`failure` set: there is no text, and why. `cost_microusd` is None where no price is known.

    `asked` is the name under which the model was asked, `model` the name under which it answered.
    """

    text: str
    model: str
    asked: str = ""
    failure: Failure | None = None
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None
    latency_ms: int = 0

    @property
    def refused(self) -> bool:
        return self.failure == "refused_by_model"

    def after(self, earlier: "ModelAnswer") -> "ModelAnswer":
        """This answer, charged with what an earlier call for the same file has cost."""
        return replace(
            self,
            input_tokens=self.input_tokens + earlier.input_tokens,
            output_tokens=self.output_tokens + earlier.output_tokens,
            cost_microusd=sum_of_costs(self.cost_microusd, earlier.cost_microusd),
            latency_ms=self.latency_ms + earlier.latency_ms,
        )


def sum_of_costs(one: int | None, other: int | None) -> int | None:
    """None as soon as one of them is unknown: a part of a bill must not pass for the bill."""
    return None if one is None or other is None else one + other


def text_of(said: str) -> str:
    """The answer without the model's reasoning, storable and of a bounded length."""
    return storable(without_thinking(said[:MAX_TEXT_CHARS])).strip()


_NAMES = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad)"
_OPENS = rf"<\s*{_NAMES}\b[^<>]*(?<!/)>|\[THINK\]|◁think▷|<\|channel>\s*\w*"
_OPENS += r"|<\|(?:begin_of_thought|thinking|think)\|>|<unused94>|<seed:think>"
_CLOSES = rf"<\s*/\s*{_NAMES}\s*>|\[/THINK\]|◁/think▷|<channel\|>"
_CLOSES += r"|<\|(?:end_of_thought|/thinking|/think)\|>|<unused95>|</seed:think>"
_TAG = re.compile(rf"(?P<closes>{_CLOSES})|(?P<opens>{_OPENS})", re.IGNORECASE)
_SELF_CLOSED = re.compile(rf"<\s*{_NAMES}\s*/\s*>", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+).{0,200}?<\|message\|>", re.DOTALL)
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_BARE_CHANNELS = re.compile(r"\A\s*analysis.*?assistant\s*final(?=\W|[A-Z¡¿])\s*", re.DOTALL)
_LEFT_OVER = re.compile(r"<\|(?:begin|end)_of_solution\|>|<\|(?:im_end|end|return)\|>")


def without_thinking(said: str) -> str:
    """Takes out what a model writes to itself, in every spelling that chat templates use.

    A block that never ends goes to the end of the text. A block that never began goes from the
    beginning, because some templates put the opening tag into the prompt.
    """
    if "<|channel|>" in said:
        return _final_channel(said)
    said = _SELF_CLOSED.sub("", _BARE_CHANNELS.sub("", said))
    parts: list[str] = []
    depth = end = 0
    for tag in _TAG.finditer(said):
        if tag["opens"] is not None:
            if depth == 0:
                parts.append(said[end : tag.start()])
            depth += 1
        elif depth == 0:
            parts.clear()
        else:
            depth -= 1
        end = tag.end()
    if depth == 0:
        parts.append(said[end:])
    return _LEFT_OVER.sub("", "".join(parts))


def _final_channel(said: str) -> str:
    """The last `final` channel of the harmony format; nothing where the model did not come to it."""
    text = ""
    for channel in _CHANNEL.finditer(said):
        if channel["name"] == "final":
            text = _CHANNEL_END.split(said[channel.end() :], maxsplit=1)[0]
    return text


_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?=\s|$)")


def whole_sentences(text: str) -> str:
    """The text up to the end of its last whole sentence; empty when it has none."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def one_line(text: str) -> str:
    """A transcript with its line breaks joined: some servers put one after each segment."""
    return " ".join(text.split())


def tokens_of(usage: object, name: str) -> int:
    """A count as the server sent it; 0 where it is no count: an answer is not lost over its bill."""
    count = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count <= _MOST_TOKENS else 0
