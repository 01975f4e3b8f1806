"""Drawings on nothing and samples that few programs write."""


import pytest
from PIL import Image, ImageDraw

from connectors.media import pictures
from tests.unit.test_media_pictures import drawing, encoded, shown

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
