"""Pictures with damaged bytes, and pictures with brands that few programs write."""

import io
import struct

import pytest
from PIL import Image

from connectors.media import pictures
from connectors.media.unfit import NotFit
from tests.unit.test_media_pictures import ALL, encoded, near, photograph, refused, shown

RED = (200, 30, 30)
BLUE = (20, 40, 200)


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    pictures.warm_up()


def solid() -> Image.Image:
    return Image.new("RGB", (64, 64), RED)


def animation(kind: str) -> bytes:
    others = [Image.new("RGB", (64, 64), BLUE), solid()]
    return encoded(solid(), kind, save_all=True, append_images=others, duration=50)


def sent_as_one_colour(data: bytes) -> bool:
    """True if a single colour would be sent as the picture."""
    try:
        prepared = pictures.prepare_image(data, 2048, ALL)
    except NotFit:
        return False
    least, most = Image.open(io.BytesIO(prepared.data)).convert("L").getextrema()
    return most - least < 3  # type: ignore[operator]


@pytest.mark.parametrize("left_out", [1, 2, 40, 1000])
def test_a_heic_that_lost_its_end_is_not_sent_as_a_black_picture(left_out: int) -> None:
    assert refused(encoded(photograph(), "HEIF")[:-left_out]) == "image_undecodable"


@pytest.mark.parametrize("major", [b"mif1", b"msf1", b"miaf", b"avio", b"1pic", b"MA1B"])
@pytest.mark.parametrize("moves", [False, True])
def test_an_avif_is_shown_whatever_its_major_brand_is(major: bytes, moves: bool) -> None:
    data = animation("AVIF") if moves else encoded(solid(), "AVIF", quality=100)
    assert near(shown(data[:8] + major + data[12:]), (32, 32), RED)


@pytest.mark.parametrize("major", [b"mif1", b"msf1", b"miaf", b"heix"])
def test_a_heic_is_shown_whatever_its_major_brand_is(major: bytes) -> None:
    data = encoded(solid(), "HEIF", quality=100)
    assert near(shown(data[:8] + major + data[12:]), (32, 32), RED)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "BMP", "TIFF", "GIF", "WEBP", "AVIF"])
def test_a_picture_with_one_wrong_byte_in_its_head_is_not_sent_as_one_colour(kind: str) -> None:
    data = encoded(photograph().resize((60, 40)), kind)
    end = data.index(b"\xff\xda") + 14 if kind == "JPEG" else 160
    for at in range(20, min(end, len(data)), 3):
        for value in (0xFF, data[at] ^ 0x11):
            wrong = data[:at] + bytes([value]) + data[at + 1 :]
            assert not sent_as_one_colour(wrong), (at, value)


def test_a_jpeg_with_a_broken_table_is_not_sent_as_a_black_picture() -> None:
    data = encoded(photograph(), "JPEG")
    table = data.index(b"\xff\xc4") + 5
    assert refused(data[:table] + b"\xff" * 16 + data[table + 16 :]) == "image_undecodable"


def test_a_black_picture_that_is_whole_is_shown() -> None:
    for kind in ("JPEG", "JPEG2000", "BMP", "TIFF", "GIF"):
        assert near(shown(encoded(Image.new("RGB", (64, 64)), kind)), (32, 32), (0, 0, 0))


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
@pytest.mark.parametrize("left_out", [1, 5, 60, 1000])
def test_a_webp_that_lost_its_end_is_shown(options: dict[str, object], left_out: int) -> None:
    image = shown(encoded(photograph(), "WEBP", **options)[:-left_out])
    assert near(image, (10, 10), photograph().getpixel((10, 10)))  # type: ignore[arg-type]


def test_the_beginning_of_a_webp_is_not_shown() -> None:
    assert refused(encoded(photograph(), "WEBP")[:60]) == "image_undecodable"


@pytest.mark.parametrize("left_out", [1, 2, 8, 60, 90])
def test_a_webp_animation_that_lost_its_end_is_its_first_frame(left_out: int) -> None:
    data = animation("WEBP")[:-left_out]
    assert near(shown(data), (32, 32), RED)
    assert pictures.prepare_image(data, 2048, ALL).animated


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    packed = (
        kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in chunks
    )
    body = b"WEBP" + b"".join(packed)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_a_webp_with_a_broken_alpha_channel_is_shown() -> None:
    plain = encoded(solid(), "WEBP", quality=100)
    pixels = plain[20 : 20 + struct.unpack("<I", plain[16:20])[0]]
    head = bytes([0x10, 0, 0, 0]) + b"\x3f\x00\x00\x3f\x00\x00"
    data = riff((b"VP8X", head), (b"ALPH", b"\x01xxxx"), (b"VP8 ", pixels))
    assert near(shown(data), (32, 32), RED)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("wrong", [b"XXXX\x08\x00\x00\x00", b"II*\x00\xff\xff\xff\xff"])
def test_a_picture_whose_metadata_is_broken_is_shown(kind: str, wrong: bytes) -> None:
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + bytes(6)
    data = encoded(solid(), kind, exif=exif, quality=100)
    at = data.index(b"II*\x00")
    assert near(shown(data[:at] + wrong + data[at + 8 :]), (32, 32), RED)


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xee\x00\x08Adobe\x01",
        b"\xff\xee\x00\x07Adobe",
        b"\xff\xe0\x00\x06JFIF",
        b"\xff\xe0\x00\x02",
        b"\xff\xe0\x00\x09JFIF\x00\x01\x01",
    ],
)
def test_a_jpeg_with_a_head_that_is_too_short_is_shown(segment: bytes) -> None:
    data = encoded(solid(), "JPEG")
    assert near(shown(data[:2] + segment + data[2:]), (32, 32), RED)
    assert near(shown(data[:2] + segment + data[20:]), (32, 32), RED)


@pytest.mark.parametrize(
    ("order", "masks"),
    [
        ((0, 1, 2, 3), (0xFF, 0xFF00, 0xFF0000)),
        ((3, 2, 1, 0), (0xFF000000, 0xFF0000, 0xFF00)),
        ((2, 1, 0, 3), (0xFF0000, 0xFF00, 0xFF)),
        ((1, 0, 2, 3), (0xFF00, 0xFF, 0xFF0000)),
    ],
)
@pytest.mark.parametrize("head_size", [40, 108, 124])
def test_a_bmp_is_shown_whatever_the_order_of_its_samples_is(
    order: tuple[int, ...], masks: tuple[int, ...], head_size: int
) -> None:
    pixel = bytearray(4)
    for place, value in zip(order, (*RED, 0), strict=True):
        pixel[place] = value
    head = struct.pack("<IiiHHIIiiII", head_size, 64, 64, 1, 32, 3, 0, 0, 0, 0, 0)
    head = (head + struct.pack("<III", *masks)).ljust(max(52, head_size), b"\x00")
    data = b"BM" + struct.pack("<III", 0, 0, 14 + len(head)) + head + bytes(pixel) * 4096
    assert near(shown(data), (32, 32), RED)


def test_a_bmp_with_a_header_of_16_bytes_is_shown() -> None:
    head = struct.pack("<IIIIiiHH", 0, 0, 30, 16, 64, 64, 1, 24)
    assert near(shown(b"BM" + head + bytes(RED[::-1]) * 4096), (32, 32), RED)


@pytest.mark.parametrize("left", [14, 18, 30, 54, 60, 70])
def test_the_head_of_a_bmp_alone_is_undecodable(left: int) -> None:
    head = struct.pack("<IIIIiiHHIIiiII", 0, 0, 66, 40, 64, 64, 1, 32, 3, 0, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)
    assert refused((b"BM" + head + masks + bytes(99))[:left]) == "image_undecodable"
