"""Random masks: the published generator, and masks that depend on nothing but their counter."""

from __future__ import annotations

import torch

from gatewise.engines.philox import keep_mask, philox


def words(*numbers: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(number) for number in numbers)


def test_known_answers():
    """The known-answer vectors of Random123 1.09 for philox4x32-10 (Salmon et al. 2011)."""
    zero = [int(w) for w in philox(words(0, 0, 0, 0), words(0, 0))]
    assert zero == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    full = [0xFFFFFFFF] * 4
    ones = [int(w) for w in philox(words(*full), words(0xFFFFFFFF, 0xFFFFFFFF))]
    assert ones == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = philox(words(0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), words(0xA4093822, 0x299F31D0))
    assert [int(w) for w in pi] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_masks_do_not_depend_on_how_much_is_drawn():
    seed = torch.tensor(77)
    whole = keep_mask(seed, 5, 0.4, 0, 9, 6, 10)
    assert torch.equal(keep_mask(seed, 5, 0.4, 3, 4, 6, 10), whole[3:7])
    assert torch.equal(keep_mask(seed, 5, 0.4, 0, 9, 2, 10), whole[:, :2])
    assert torch.equal(keep_mask(seed, 5, 0.4, 0, 9, 6, 7), whole[..., :7])


def test_masks_differ_by_seed_and_stream_and_have_the_right_rate():
    one, two = (keep_mask(torch.tensor(s), 0, 0.3, 0, 50, 40, 50) for s in (1, 2))
    other = keep_mask(torch.tensor(1), 1, 0.3, 0, 50, 40, 50)
    for mask in (one, two, other):
        # 100,000 draws: the standard deviation of the rate is 0.0014.
        assert abs(mask.float().mean().item() - 0.7) < 0.006
    # Independent masks agree in 0.7^2 + 0.3^2 of the places.
    for mask in (two, other):
        assert abs((mask == one).float().mean().item() - 0.58) < 0.008
    assert keep_mask(torch.tensor(1), 0, 0.0, 0, 2, 2, 5).all()
    assert not keep_mask(torch.tensor(1), 0, 1.0, 0, 2, 2, 5).any()
