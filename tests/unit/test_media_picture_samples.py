"""Drawings on transparent backgrounds, and sample formats that few programs write."""

import struct

import pytest
from PIL import Image, ImageDraw

from connectors.media import pictures
from tests.unit.test_media_pictures import chunk, drawing, encoded, near, pairs, png, shown, tiff

BLACK, WHITE, MIDDLE = (0, 0, 0, 255), (255, 255, 255, 255), (128, 128, 128, 255)


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    pictures.warm_up()


def unlike_the_ground(image: Image.Image, *places: tuple[int, int]) -> bool:
    grey = shown(encoded(image, "PNG")).convert("L")
    ground = grey.getpixel((190, 50))
    return all(abs(grey.getpixel(at) - ground) >= 35 for at in places)  # type: ignore[operator]


@pytest.mark.parametrize("third", [32, 64, 100, 128, 160, 192, 230])
def test_three_inks_on_nothing_are_all_seen(third: int) -> None:
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 100, 199, 199), fill=BLACK)
    draw.rectangle((10, 10, 60, 60), fill=WHITE)
    draw.rectangle((80, 10, 130, 60), fill=(third, third, third, 255))
    assert unlike_the_ground(image, (30, 30), (100, 30), (100, 150))


@pytest.mark.parametrize("width", [5, 9, 13])
def test_a_white_spot_beside_a_large_black_one_is_seen(width: int) -> None:
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 100, 199, 199), fill=BLACK)
    draw.rectangle((10, 10, 9 + width, 20), fill=WHITE)
    assert unlike_the_ground(image, (12, 15), (100, 150))


@pytest.mark.parametrize("alpha", [31, 25, 20])
def test_faint_white_ink_is_seen(alpha: int) -> None:
    image = shown(encoded(drawing("RGBA", (255, 255, 255, alpha)), "PNG")).convert("L")
    assert abs(image.getpixel((32, 32)) - image.getpixel((4, 4))) >= alpha - 4  # type: ignore[operator]


def wide_row(*values: int) -> bytes:
    """A PNG with a row of 64 pixels that has these values in equal parts, big-endian."""
    return b"\x00" + b"".join(struct.pack(">H", value) * (64 // len(values)) for value in values)


@pytest.mark.parametrize(
    ("bits", "colours", "row", "key"),
    [
        (16, 0, wide_row(0, 0x8000), b"\x80\x00"),
        (16, 0, wide_row(0, 0x0101), b"\x01\x01"),
        (16, 2, b"\x00" + bytes(192) + b"\x12\x34" * 96, b"\x12\x34" * 3),
        (4, 0, b"\x00" + bytes(16) + b"\x88" * 16, b"\x00\x08"),
        (2, 0, b"\x00" + bytes(8) + b"\xaa" * 8, b"\x00\x02"),
        (1, 0, b"\x00" + bytes(4) + b"\xff" * 4, b"\x00\x01"),
        (8, 0, b"\x00" + bytes(32) + b"\x88" * 32, b"\x00\x88"),
    ],
)
def test_the_transparent_colour_of_a_png_is_hidden_at_every_depth(
    bits: int, colours: int, row: bytes, key: bytes
) -> None:
    image = shown(png(bits, colours, row * 64, chunk(b"tRNS", key)))
    assert near(image, (8, 32), (0, 0, 0)) and near(image, (56, 32), (255, 255, 255))


@pytest.mark.parametrize("colours", [0, 2])
def test_a_colour_that_has_only_the_high_byte_of_the_transparent_one_is_shown(colours: int) -> None:
    samples = 3 if colours else 1
    row = b"\x00" + b"\x12\x33" * 32 * samples + b"\xff\xff" * 32 * samples
    image = shown(png(16, colours, row * 64, chunk(b"tRNS", b"\x12\x34" * samples)))
    assert near(image, (8, 32), (0x12, 0x12, 0x12))


def test_a_cut_png_of_16_bits_hides_its_transparent_colour() -> None:
    row = b"\x00" + bytes(192) + b"\x12\x34" * 96
    data = png(16, 2, row * 64, chunk(b"tRNS", b"\x12\x34" * 3))
    image = shown(data[:-20])
    assert near(image, (8, 9), (0, 0, 0)) and near(image, (56, 9), (255, 255, 255))


def with_largest(data: bytes, value: int) -> bytes:
    """The same grey TIFF with a tag for its largest sample, instead of the rows of a strip."""
    at = data.index(struct.pack("<HH", 278, 4))
    return data[:at] + struct.pack("<HHII", 281, 4, 1, value) + data[at + 12 :]


def test_twelve_bits_in_samples_of_sixteen_are_not_nearly_black() -> None:
    image = shown(with_largest(tiff(pairs("H", 2_056, 1_028), 16, 1), 4_095))
    assert near(image, (8, 32), (128, 128, 128)) and near(image, (56, 32), (64, 64, 64))


@pytest.mark.parametrize("wrong", [0, 1, 4_095, 70_000])
def test_a_largest_value_that_is_not_true_is_ignored(wrong: int) -> None:
    image = shown(with_largest(tiff(pairs("H", 32_896, 16_448), 16, 1), wrong))
    assert near(image, (8, 32), (128, 128, 128)) and near(image, (56, 32), (64, 64, 64))


def any_tiff(
    order: str, bits: tuple[int, ...], photometric: int, form: int, row: bytes, extra: int | None
) -> bytes:
    """A TIFF of 64 by 64, uncompressed, in either byte order."""
    many = len(bits)
    tags = [
        (256, (64,)), (257, (64,)), (258, bits), (259, (1,)), (262, (photometric,)), (273, (400,)),
        (277, (many,)), (278, (64,)), (279, (64 * len(row),)),
        *([] if extra is None else [(338, (extra,))]), (339, (form,) * many),
    ]  # fmt: skip
    at, entries, values = 10 + 12 * len(tags) + 4, b"", b""
    for tag, numbers in tags:
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            place, values = struct.pack(f"{order}I", at + len(values)), values + packed
        else:
            place = packed.ljust(4, b"\x00")
        entries += struct.pack(f"{order}HHI", tag, 3, len(numbers)) + place
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}IH", 8, len(tags))
    return (head + entries + bytes(4) + values).ljust(400, b"\x00") + row * 64


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("code", "values", "bits", "photometric", "form", "extra"),
    [
        ("H", ((0x8080, 0xFFFF), (0x4040, 0xFFFF)), (16, 16), 1, 1, 2),
        ("H", ((0x8080, 0xFFFF), (0x4040, 0xFFFF)), (16, 16), 1, 1, 1),
        ("H", ((0x8080, 0), (0x4040, 0)), (16, 16), 1, 1, 0),
        ("H", ((0x8080, 0), (0x4040, 0)), (16, 16), 1, 1, None),
        ("d", ((0.502,), (0.251,)), (64,), 1, 3, None),
        ("d", ((0.498,), (0.749,)), (64,), 0, 3, None),
        ("H", ((0x7F7F,), (0xBFBF,)), (16,), 0, 1, None),
        ("I", ((0x80808080,), (0x40404040,)), (32,), 1, 1, None),
        ("I", ((0x80,), (0x40,)), (32,), 1, 1, None),
    ],
)  # fmt: skip
def test_a_tiff_in_grey_is_shown_whatever_its_samples_are(
    order: str,
    code: str,
    values: tuple[tuple[float, ...], tuple[float, ...]],
    bits: tuple[int, ...],
    photometric: int,
    form: int,
    extra: int | None,
) -> None:
    left, right = (struct.pack(f"{order}{len(pixel)}{code}", *pixel) * 32 for pixel in values)
    image = shown(any_tiff(order, bits, photometric, form, left + right, extra))
    assert near(image, (8, 32), (128, 128, 128)) and near(image, (56, 32), (64, 64, 64))


def test_a_transparent_part_of_a_tiff_in_grey_is_white() -> None:
    row = struct.pack("<2H", 0, 0xFFFF) * 32 + struct.pack("<2H", 0, 0) * 32
    image = shown(any_tiff("<", (16, 16), 1, 1, row, 2))
    assert near(image, (8, 32), (0, 0, 0)) and near(image, (56, 32), (255, 255, 255))


def test_colours_of_an_icc_profile_are_shown_in_red_green_and_blue() -> None:
    row = bytes([138, 209, 195]) * 32 + bytes([138, 128, 128]) * 32
    image = shown(any_tiff("<", (8, 8, 8), 9, 1, row, None))
    assert near(image, (8, 32), (255, 0, 0)) and near(image, (56, 32), (128, 128, 128))
