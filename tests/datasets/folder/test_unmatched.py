"""What is proposed for images and masks that do not find each other."""

import pytest

from datasets.folder.unmatched import hint, nearest_names, propose_patterns


@pytest.mark.parametrize(
    ("image", "mask", "patterns"),
    [
        (
            "images/Test_Image_{}.png",
            "masks/mask_{}.png",
            ("images/Test_Image_{id}.png", "masks/mask_{id}.png"),
        ),
        (
            "images/{}_training.tif",
            "masks/{}_manual1.gif",
            ("images/{id}_training.tif", "masks/{id}_manual1.gif"),
        ),
        (
            "all/IMD{}/IMD{}_Dermoscopic_Image/IMD{}.bmp",
            "all/IMD{}/IMD{}_lesion/IMD{}_lesion.bmp",
            ("all/{id}/{id}_Dermoscopic_Image/{id}.bmp", "all/{id}/{id}_lesion/{id}_lesion.bmp"),
        ),
        ("images/p{}_2.jpg", "masks/p{}_2-seg.png", ("images/{id}.jpg", "masks/{id}-seg.png")),
    ],
)
def test_the_pattern_that_matches_all_is_found(
    image: str, mask: str, patterns: tuple[str, str]
) -> None:
    numbers = [f"{number:02d}" for number in (1, 2, 3, 10, 11)]
    images = [image.replace("{}", number) for number in numbers]
    masks = [mask.replace("{}", number) for number in numbers]
    proposal = propose_patterns(images, images, masks)
    assert proposal is not None
    assert (proposal.images.text, proposal.masks.text, proposal.matched) == (*patterns, 5)


def test_endings_that_differ_become_any_ending() -> None:
    images = ["images/a1.png", "images/a2.jpg"]
    masks = ["masks/a1_m.png", "masks/a2_m.png"]
    proposal = propose_patterns(images, images, masks)
    assert proposal is not None
    texts = (proposal.images.text, proposal.masks.text)
    assert (texts, proposal.matched) == (("images/{id}.*", "masks/{id}_m.*"), 2)


def test_names_that_share_nothing_get_no_proposal() -> None:
    assert propose_patterns(["images/x.png"], ["images/x.png"], ["masks/z.png"]) is None
    text = hint(["images/x.png"], [], ["images/x.png"], ["masks/z.png"], "masks/x.png")
    assert text == "nearest to masks/x.png: masks/z.png; "


def test_the_three_nearest_names_come_nearest_first() -> None:
    names = ["masks/a_10.png", "masks/a_1.png", "masks/b.png", "masks/zzzz.png"]
    assert nearest_names("masks/a_1.png", names)[0] == "masks/a_1.png"
    assert len(nearest_names("masks/a_1.png", names)) == 3


def test_masks_alone_are_shown_beside_the_nearest_images() -> None:
    text = hint([], ["masks/a_2.png"], ["images/a_1.png"], ["masks/a_2.png"], "")
    assert text == "nearest to masks/a_2.png: images/a_1.png; "
