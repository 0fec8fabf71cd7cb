"""pysim.common.tensors: the bytes are those of the library, and a digest makes no copy of them."""

import hashlib
import json
import tracemalloc

import numpy as np
from safetensors.numpy import save

from spikeloop.pysim.common.tensors import DTYPES, decode, encode
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network


def test_the_bytes_are_those_of_the_library(rng: np.random.Generator) -> None:
    """Every dtype, some names that JSON escapes, empty and transposed arrays."""
    names = ["b", "a", 'of "x"', "naïve", "tab\t\x7f", "back\\slash", "x/y"]
    for case in range(20):
        tensors = {}
        for dtype in DTYPES:
            for name in rng.permutation(names)[:3]:
                shape = rng.integers(0, 4, rng.integers(1, 4))
                tensors[f"{name}.{dtype}"] = rng.integers(0, 2, shape).astype(dtype).T
        header = {"case": case, "name": "ü \n"}
        data = encode(header, tensors, "key", "test")
        (length,) = np.frombuffer(data[:8], "<u8").tolist()
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        whole = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        assert data == save(whole, metadata=metadata)
        read, again = decode(data, "key", "test")
        assert read == header and again.keys() == tensors.keys()


def test_the_sha256_of_a_network_is_that_of_its_file_but_takes_no_copy(
    rng: np.random.Generator,
) -> None:
    network = Network(
        name="wide",
        inputs=(Input(name="in", size=2000),),
        steps=1,
        output="out",
        populations=(Population.make("out", 1000, v_th=5),),
        edges=(
            Edge(
                source="in", target="out", weights=rng.integers(-8, 8, (2000, 1000), dtype=np.int32)
            ),
        ),
    )
    data = network.to_bytes()
    tracemalloc.start()
    try:
        got = network.sha256()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{most:,} bytes for the digest of a file of {len(data):,}")
    assert got == hashlib.sha256(data).hexdigest()
    assert most < len(data) // 4
