"""The nets for Satellite."""

from spikeloop.golden.rules.qstdb.satellite import small_cnn3d


def test_layers() -> None:
    assert [layer.target for layer in small_cnn3d()] == [
        (20, 2, 2, 4),
        (84, 1, 1, 4),
        (84, 1, 1, 4),
        (6,),
    ]
