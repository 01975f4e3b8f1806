import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageDraw

from connectors.media import pictures
from connectors.media.frames import PreparedImage
from connectors.media.unfit import NotFit

FIELD = Path(__file__).parents[1] / "field"
MEDIA = Path(__file__).parents[1] / "media"
ALL = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    pictures.warm_up()


def shown(data: bytes, side: int = 2048, formats: frozenset[str] = ALL) -> Image.Image:
    """The picture that the model sees. All that is not passed unchanged is a JPEG in colour."""
    prepared = pictures.prepare_image(data, side, formats)
    image = Image.open(io.BytesIO(prepared.data))
    assert image.size == (prepared.width, prepared.height)
    assert prepared.mime in formats | {"image/jpeg"}
    if prepared.data != data:
        assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def refused(data: bytes) -> str:
    with pytest.raises(NotFit) as caught:
        pictures.prepare_image(data, 2048, ALL)
    return caught.value.reason


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    pixel = image.convert("RGB").getpixel(at)
    return all(abs(one - other) <= 12 for one, other in zip(pixel, colour, strict=True))  # type: ignore[arg-type]


def halves(mode: str, left: object, right: object) -> Image.Image:
    image = Image.new(mode, (64, 64), left)  # type: ignore[arg-type]
    image.paste(Image.new(mode, (32, 64), right), (32, 0))  # type: ignore[arg-type]
    return image


def wide(values: tuple[int, int], order: str = "<") -> Image.Image:
    """A 16-bit grey picture whose left half has the first value."""
    row = struct.pack(f"{order}64H", *[values[0]] * 32, *[values[1]] * 32)
    return Image.frombytes("I;16B" if order == ">" else "I;16", (64, 64), row * 64)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits: int, colour_type: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG of 64 by 64 in a form that Pillow itself would not write."""
    head = struct.pack(">IIBBBBB", 64, 64, bits, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(samples: bytes, bits: int, form: int, photometric: int = 1) -> bytes:
    """A TIFF of 64 by 64 in grey, uncompressed."""
    tags = [
        (256, 64), (257, 64), (258, bits), (259, 1), (262, photometric), (273, 200), (277, 1),
        (278, 64), (279, len(samples)), (339, form),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\x00") + samples


def pairs(code: str, left: float, right: float) -> bytes:
    return struct.pack(f"<64{code}", *[left] * 32, *[right] * 32) * 64


def heif() -> bytes:
    """A HEIF as phones write it, with 10 bits, of which libheif makes 16."""
    row = struct.pack("<192H", *[32_896] * 96, *[16_448] * 96)
    out = io.BytesIO()
    pillow_heif.encode("RGB;16", (64, 64), row * 64, out, quality=100)
    return out.getvalue()


TWELVE_BITS = bytes([0x80, 0x08, 0x00]) * 16 + bytes([0x40, 0x04, 0x00]) * 16
GREY: dict[str, Callable[[], bytes]] = {
    "16-bit PNG": lambda: encoded(wide((32_896, 16_448)), "PNG"),
    "16-bit TIFF": lambda: encoded(wide((32_896, 16_448)), "TIFF"),
    "16-bit TIFF, big endian": lambda: encoded(wide((32_896, 16_448), ">"), "TIFF"),
    "16-bit JPEG 2000": lambda: encoded(wide((32_896, 16_448)), "JPEG2000"),
    "16-bit PGM": lambda: encoded(wide((32_896, 16_448)), "PPM"),
    "16-bit grey with alpha": lambda: png(
        16, 4, (b"\x00" + b"\x80\x80\xff\xff" * 32 + b"\x40\x40\xff\xff" * 32) * 64
    ),
    "16-bit colour": lambda: png(16, 2, (b"\x00" + b"\x80\x80" * 96 + b"\x40\x40" * 96) * 64),
    "16-bit colour with alpha": lambda: png(
        16, 6, (b"\x00" + b"\x80\x80\x80\x80\x80\x80\xff\xff" * 32 + b"\x40\x40\x40\x40\x40\x40\xff\xff" * 32) * 64
    ),
    "32-bit TIFF of 16-bit values": lambda: encoded(halves("I", 32_896, 16_448), "TIFF"),
    "32-bit TIFF of 8-bit values": lambda: encoded(halves("I", 128, 64), "TIFF"),
    "float TIFF up to 1": lambda: encoded(halves("F", 0.502, 0.251), "TIFF"),
    "float TIFF up to 255": lambda: encoded(halves("F", 128.0, 64.0), "TIFF"),
    "float TIFF up to 65535": lambda: encoded(halves("F", 32_896.0, 16_448.0), "TIFF"),
    "16-bit TIFF in which white is zero": lambda: tiff(pairs("H", 32_639, 49_087), 16, 1, 0),
    "12-bit TIFF": lambda: tiff((TWELVE_BITS) * 64, 12, 1),
    "10-bit HEIF": heif,
    "8-bit PNG": lambda: encoded(halves("L", 128, 64), "PNG"),
    "4-bit PNG": lambda: png(4, 0, (b"\x00" + b"\x88" * 16 + b"\x44" * 16) * 64),
}  # fmt: skip


@pytest.mark.parametrize("kind", GREY)
def test_grey_is_shown_as_grey_whatever_its_samples_are(kind: str) -> None:
    image = shown(GREY[kind]())
    assert near(image, (8, 32), (128, 128, 128)), image.getpixel((8, 32))
    assert near(image, (56, 32), (64, 64, 64)), image.getpixel((56, 32))


@pytest.mark.parametrize(
    ("bits", "rows"), [(1, b"\xff" * 4 + b"\x00" * 4), (2, b"\xff" * 8 + b"\x00" * 8)]
)
def test_few_bits_are_shown_as_black_and_white(bits: int, rows: bytes) -> None:
    data = png(bits, 0, (b"\x00" + rows) * 64)
    image = shown(data)
    assert near(image, (8, 32), (255, 255, 255)) and near(image, (56, 32), (0, 0, 0))
    assert image.format == "JPEG"


def test_values_beyond_every_usual_scale_are_stretched() -> None:
    image = shown(encoded(halves("F", -1e6, 3e6), "TIFF"))
    assert near(image, (8, 32), (0, 0, 0)) and near(image, (56, 32), (255, 255, 255))


def test_the_field_picture_of_16_bits_is_a_darker_rectangle_on_grey() -> None:
    image = shown((FIELD / "gray-16bit" / "xray-16bit.png").read_bytes())
    assert near(image, (0, 0), (117, 117, 117)) and near(image, (64, 48), (47, 47, 47))


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("LAB", (8, 8), (138, 209, 195)), "TIFF", (255, 0, 0)),
        (Image.new("YCbCr", (8, 8), (76, 85, 255)), "TIFF", (255, 0, 0)),
    ],
)
def test_colours_of_print_and_film_are_shown_in_red_green_and_blue(
    image: Image.Image, kind: str, colour: tuple[int, int, int]
) -> None:
    assert near(shown(encoded(image, kind)), (4, 4), colour)


# --- transparency


def drawing(mode: str, ink: object, ground: object = (0, 0, 0, 0)) -> Image.Image:
    image = Image.new("RGBA", (64, 64), ground)  # type: ignore[arg-type]
    ImageDraw.Draw(image).rectangle((16, 16, 47, 47), fill=ink)  # type: ignore[arg-type]
    return image if mode == "RGBA" else image.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize(
    "ink", [(0, 0, 0), (255, 255, 255), (250, 250, 240), (20, 20, 90), (128, 128, 128), (255, 230, 0)]
)  # fmt: skip
def test_a_drawing_on_nothing_is_seen_whatever_its_colour(
    kind: str, ink: tuple[int, int, int]
) -> None:
    options = {"quality": 100} if kind in ("WEBP", "AVIF") else {}
    image = shown(encoded(drawing("RGBA", (*ink, 255)), kind, **options)).convert("L")
    assert abs(image.getpixel((32, 32)) - image.getpixel((4, 4))) >= 40  # type: ignore[operator]


def test_black_and_white_on_nothing_are_both_seen() -> None:
    image = drawing("RGBA", (0, 0, 0, 255))
    ImageDraw.Draw(image).rectangle((16, 48, 47, 60), fill=(255, 255, 255, 255))
    seen = shown(encoded(image, "PNG")).convert("L")
    ground = seen.getpixel((4, 4))
    assert all(abs(seen.getpixel(at) - ground) >= 40 for at in ((32, 32), (32, 54)))  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["LA", "P", "L", "RGB", "1"])
def test_transparency_is_seen_in_every_mode(mode: str) -> None:
    if mode in ("LA", "P"):
        data = encoded(drawing(mode, (0, 0, 0, 255)), "PNG")
    else:
        clear = {"L": 7, "RGB": (7, 7, 7), "1": 1}[mode]
        ground = Image.new(mode, (64, 64), clear)
        ImageDraw.Draw(ground).rectangle((16, 16, 47, 47), fill=0)
        data = encoded(ground, "PNG", transparency=clear)
    image = shown(data)
    assert near(image, (4, 4), (255, 255, 255)) and near(image, (32, 32), (0, 0, 0))


def test_the_field_sticker_is_dark_on_white() -> None:
    image = shown((FIELD / "dark-on-transparent" / "sticker.png").read_bytes())
    assert near(image, (0, 0), (255, 255, 255)) and near(image, (300, 100), (0, 0, 0))


def test_a_picture_with_an_alpha_channel_that_hides_nothing_is_passed() -> None:
    data = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 255)), "PNG")
    assert pictures.prepare_image(data, 2048, ALL).data == data


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_that_shows_anything_is_shown(kind: str) -> None:
    frames = [drawing("RGBA", ink) for ink in ((0, 0, 0, 0), (0, 0, 0, 0), (255, 0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert near(shown(data), (32, 32), (255, 0, 0))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    prepared = pictures.prepare_image(data, 2048, ALL)
    assert (prepared.animated, prepared.mime) == (True, "image/jpeg")
    assert near(shown(data), (32, 32), (255, 0, 0))


def test_the_field_sequence_is_its_first_frame() -> None:
    image = shown((FIELD / "avif-sequence" / "animada.avif").read_bytes())
    assert (image.size, near(image, (0, 0), (200, 30, 30))) == ((640, 480), True)


# --- damage


def photograph() -> Image.Image:
    return Image.open(MEDIA / "cat.jpg").convert("RGB")


@pytest.mark.parametrize("path", sorted((FIELD / "readable-but-refused").glob("*.*g")), ids=str)
def test_the_field_pictures_that_viewers_show_are_shown(path: Path) -> None:
    image = shown(path.read_bytes())
    assert (image.size, near(image, (0, 0), (200, 30, 30))) == ((320, 240), True)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"eXIf", b"not a tiff"),
        chunk(b"iCCP", b"x\x00\x00" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"x\x00\x00not zlib"),
        chunk(b"zTXt", b"x\x00\x00" + zlib.compress(bytes(3 << 20))),
        chunk(b"zTXt", b"x\x00\x09"),
        chunk(b"iTXt", b"x"),
        chunk(b"gAMA", b"\x00"),
        chunk(b"cHRM", b"\x00"),
        chunk(b"pHYs", b""),
        chunk(b"sRGB", b""),
        chunk(b"acTL", b"\x00"),
        chunk(b"tIME", b"\xff" * 3),
        chunk(b"tEXt", b"Comment\x00hello")[:-4] + b"\x00\x00\x00\x00",
        struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + b"a size that cannot be",
    ],
    ids=lambda extra: f"{extra[4:8].decode()}-{len(extra)}",
)
def test_a_png_with_a_bad_extra_is_shown(extra: bytes) -> None:
    data = png(8, 2, (b"\x00" + b"\xc8\x1e\x1e" * 64) * 64, extra)
    assert near(shown(data), (32, 32), (200, 30, 30))


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\x00\x10Exif\x00\x00not tif",
        b"\xff\xe1\x00\x02",
        b"\xff\xe2\x00\x10MPF\x00not an mpf",
        b"\xff\xe2\x00\x12ICC_PROFILE\x00\x01\x00",
        b"\xff\xed\x00\x18Photoshop 3.0\x008BIMxxxx",
        b"\xff\xe1\x40\x00Exif\x00\x00",
        b"\xff\xfe\xff\xff",
        b"\xff\xe5\x00\x00",
    ],
    ids=lambda segment: segment[:12].hex(),
)
def test_a_jpeg_with_a_bad_extra_is_shown(segment: bytes) -> None:
    data = encoded(Image.new("RGB", (64, 64), (200, 30, 30)), "JPEG")
    assert near(shown(data[:2] + segment + data[2:]), (32, 32), (200, 30, 30))


@pytest.mark.parametrize("kind", [b"EXIF", b"ICCP", b"XMP ", b"JUNK"])
def test_a_webp_with_a_bad_extra_is_shown(kind: bytes) -> None:
    data = encoded(photograph(), "WEBP")
    flags = (
        b"VP8X"
        + struct.pack("<I", 10)
        + b"\x2c\x00\x00\x00"
        + struct.pack("<I", 450)[:3]
        + struct.pack("<I", 299)[:3]
    )
    body = b"WEBP" + flags + data[12:] + kind + struct.pack("<I", 9_999_999) + b"broken"
    assert shown(b"RIFF" + struct.pack("<I", len(body)) + body).size == (451, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("left_out", [2, 12, 40])
def test_a_picture_that_lost_its_last_bytes_is_shown(kind: str, left_out: int) -> None:
    data = encoded(photograph(), kind)
    assert shown(data[:-left_out]).size == (451, 300)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_half_a_jpeg_is_shown_and_its_beginning_is_not(options: dict[str, object]) -> None:
    data = encoded(photograph(), "JPEG", **options)
    image = shown(data[: len(data) // 2])
    assert near(image, (10, 10), photograph().getpixel((10, 10)))  # type: ignore[arg-type]
    assert refused(data[: data.index(b"\xff\xda") + 12]) == "image_undecodable"


def test_half_a_png_is_shown_and_its_beginning_is_not() -> None:
    data = encoded(photograph(), "PNG")
    assert near(shown(data[: len(data) // 2]), (10, 10), photograph().getpixel((10, 10)))  # type: ignore[arg-type]
    assert refused(data[:60]) == "image_undecodable"


def test_a_damaged_picture_keeps_its_right_way_up() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photograph(), "JPEG", exif=exif)
    assert shown(data[:-20]).size == (300, 451)


# --- sizes


def test_a_very_large_jpeg_is_decoded_at_a_part_of_its_size() -> None:
    image = shown(encoded(Image.new("RGB", (12_000, 9_000), (200, 30, 30)), "JPEG"))
    assert (image.size, near(image, (9, 9), (200, 30, 30))) == ((2048, 1536), True)


def test_a_very_wide_jpeg_is_decoded_at_a_part_of_its_size() -> None:
    assert shown(encoded(Image.new("RGB", (60_000, 900)), "JPEG")).size == (2048, 31)


@pytest.mark.parametrize(
    ("size", "options"), [((20_000, 16_000), {}), ((16_000, 12_000), {"progressive": True})]
)
def test_a_jpeg_that_would_take_too_long_is_too_large(
    size: tuple[int, int], options: dict[str, object]
) -> None:
    small = encoded(Image.new("L", (8, 8)), "JPEG", **options)
    head = small.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    data = small[:head] + struct.pack(">HH", size[1], size[0]) + small[head + 4 :]
    assert refused(data) == "image_too_large"


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (2049, 1)])
def test_odd_sizes_are_shown(size: tuple[int, int]) -> None:
    image = shown(encoded(Image.new("RGB", size, (200, 30, 30)), "PNG"))
    assert near(image, (0, 0), (200, 30, 30)) and max(image.size) <= 2048


@pytest.mark.parametrize("size", [(0, 0), (0, 64), (64, 0)])
def test_a_picture_without_a_pixel_is_undecodable(size: tuple[int, int]) -> None:
    head = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    assert (
        refused(head + struct.pack("<IiiHHIIiiII", 40, *size, 1, 24, 0, 0, 0, 0, 0, 0))
        == "image_undecodable"
    )


def test_the_longest_side_is_the_callers() -> None:
    assert shown(encoded(photograph(), "JPEG"), side=100).size == (100, 66)


@pytest.mark.parametrize(
    ("kind", "passed"), [("JPEG", True), ("PNG", True), ("WEBP", False), ("GIF", False)]
)
def test_what_the_server_does_not_take_becomes_jpeg(kind: str, passed: bool) -> None:
    data = encoded(photograph(), kind)
    prepared = pictures.prepare_image(data, 2048, frozenset({"image/jpeg", "image/png"}))
    assert isinstance(prepared, PreparedImage)
    assert (prepared.data == data) == passed


@pytest.mark.parametrize("compression", ["zstd", "lzma", "webp"])
def test_a_tiff_that_brings_an_uncommon_decoder_is_not_tried(compression: str) -> None:
    data = tiff(bytes(4096), 8, 1)
    number = {"zstd": 50_000, "lzma": 34_925, "webp": 50_001}[compression]
    at = data.index(struct.pack("<HHII", 259, 4, 1, 1))
    assert (
        refused(data[:at] + struct.pack("<HHII", 259, 4, 1, number) + data[at + 12 :])
        == "image_undecodable"
    )


@pytest.mark.parametrize("kind", ["EPS", "PDF", "TGA", "PCX", "SGI", "MSP"])
def test_a_format_that_no_chat_sends_is_not_tried(kind: str) -> None:
    mode = "1" if kind == "MSP" else "RGB"
    assert refused(encoded(Image.new(mode, (8, 8)), kind)) == "image_undecodable"
