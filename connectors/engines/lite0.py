"""Converts the published weights of EfficientNet-Lite0 to an ONNX model, without torch.

The weights are a pickle in torch's old format. A pickle can run programs, so it is read
by an unpickler that knows four names and refuses all others. Architecture: Tan and Le,
"EfficientNet" (2019), in the Lite variant (ReLU6, no squeeze-and-excitation).
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE_SIDE = 224
_REPEATS = (1, 2, 2, 3, 3, 4, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EPSILON = 1e-3
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Storage(NamedTuple):
    key: str
    dtype: Any
    length: int


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries of references to the storages that follow the pickle."""

    _KNOWN = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: (
            storage, offset, size, stride,
        ),
        ("torch", "FloatStorage"): np.float32,
        ("torch", "LongStorage"): np.int64,
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in weights")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, length, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind} is not a storage")
        return _Storage(key, dtype, length)


def convert(weights: Path, model: Path) -> None:
    """Writes `model` from `weights`.

    The model is ONNX, opset 17, with `input` 1×3×224×224 and `prob` 1×1000.
    """
    with weights.open("rb") as file:
        built = _build(_read(file))
    onnx.checker.check_model(built)
    onnx.save(built, model)


def _read(file: IO[bytes]) -> dict[str, Any]:
    """The tensors by name."""
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise pickle.UnpicklingError("these are not weights in torch's old format")
    _Unpickler(file).load()  # the byte sizes of the machine that wrote it
    described, keys = _Unpickler(file).load(), _Unpickler(file).load()
    storages = {storage.key: storage for storage, *_ in described.values()}
    values: dict[str, Any] = {}
    for key in keys:
        dtype = np.dtype(storages[key].dtype)
        count = int.from_bytes(file.read(8), "little")
        values[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {
        name: _tensor(values[storage.key][offset:], size, stride)
        for name, (storage, offset, size, stride) in described.items()
    }


def _tensor(flat: Any, size: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    if not size:
        return flat[0]
    steps = [step * flat.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat, size, steps).copy()


class _Graph:
    """The nodes and constants of the model being built."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self.tensors = tensors
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.constant("zero", np.array(0.0))
        self.constant("six", np.array(6.0))

    def constant(self, name: str, values: Any) -> None:
        array = np.ascontiguousarray(values.astype(np.float32))
        self.constants.append(numpy_helper.from_array(array, name))

    def add(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output

    def convolution(
        self, source: str, weight: str, norm: str, name: str, *, stride: int = 1,
        depthwise: bool = False, active: bool = True,
    ) -> str:  # fmt: skip
        """A convolution with its batch normalisation folded in, then ReLU6 if `active`."""
        kernel = self.tensors[f"{weight}.weight"]
        gain, shift, mean, variance = (
            self.tensors[f"{norm}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + _EPSILON)
        self.constant(f"{name}_w", kernel * scale[:, None, None, None])
        self.constant(f"{name}_b", shift - mean * scale)
        side, groups = kernel.shape[2], kernel.shape[0] if depthwise else 1
        output = self.add(
            "Conv", [source, f"{name}_w", f"{name}_b"], name, auto_pad="SAME_UPPER",
            strides=[stride] * 2, kernel_shape=[side] * 2, group=groups,
        )  # fmt: skip
        return self.add("Clip", [output, "zero", "six"], f"{name}_a") if active else output

    def block(self, source: str, index: int, stride: int) -> str:
        """One inverted residual block: expand, filter each channel, project, add the input."""
        part, expand = f"_blocks.{index}.", f"_blocks.{index}._expand_conv"
        wide = source
        if f"{expand}.weight" in self.tensors:
            wide = self.convolution(source, expand, f"{part}_bn0", f"b{index}e")
            channels = self.tensors[f"{expand}.weight"].shape[1]
        else:
            channels = self.tensors[f"{part}_depthwise_conv.weight"].shape[0]
        filtered = self.convolution(
            wide, f"{part}_depthwise_conv", f"{part}_bn1", f"b{index}d",
            stride=stride, depthwise=True,
        )  # fmt: skip
        project = f"{part}_project_conv"
        output = self.convolution(filtered, project, f"{part}_bn2", f"b{index}p", active=False)
        if stride == 1 and channels == self.tensors[f"{project}.weight"].shape[0]:
            output = self.add("Add", [output, source], f"b{index}r")
        return output


def _build(tensors: dict[str, Any]) -> Any:
    graph, index = _Graph(tensors), 0
    flow = graph.convolution("input", "_conv_stem", "_bn0", "stem", stride=2)
    for repeats, stride in zip(_REPEATS, _STRIDES, strict=True):
        for repeat in range(repeats):
            flow = graph.block(flow, index, stride if repeat == 0 else 1)
            index += 1
    flow = graph.convolution(flow, "_conv_head", "_bn1", "head")
    graph.constant("fc_w", tensors["_fc.weight"])
    graph.constant("fc_b", tensors["_fc.bias"])
    flow = graph.add("Flatten", [graph.add("GlobalAveragePool", [flow], "pooled")], "flat")
    flow = graph.add("Gemm", [flow, "fc_w", "fc_b"], "logits", transB=1)
    graph.add("Softmax", [flow], "prob", axis=1)
    shape = [1, 3, IMAGE_SIDE, IMAGE_SIDE]
    built = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [1, 1000])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    built.ir_version = 8
    return built
