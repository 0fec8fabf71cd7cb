"""An image's memories in the forms other tools read, and its network as NIR."""

from pathlib import Path

from spikeloop.cosim.soc.image import write_c_image
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image import export as memories
from spikeloop.pysim.network.graph import Network

__all__ = ["FORMS", "beside", "export"]

NIR, C = "nir", "c"
FORMS = (*memories.FORMS, C, NIR)


def export(image: Path, form: str, folder: Path) -> list[Path]:
    """Write what ``image`` (a folder) holds into ``folder`` in a form of :data:`FORMS`.

    ``nir`` writes the network in or beside the image folder, ``c`` a header for the driver of a
    wrapped core. The other forms write every memory; each core of a mesh and each part of a program
    gets a folder of its own.
    """
    if form not in FORMS:
        raise InputError(f"export form must be one of {', '.join(FORMS)}, not {form!r}")
    if form == NIR:
        from spikeloop.golden.interchange.nir.write import export_nir

        network = beside(image, "network.safetensors", "put it there")
        return [export_nir(Network.load(network), folder / "network.nir")]
    bundle = load_bundle(image)
    if form == C:
        return write_c_image(bundle, folder)
    return [
        file
        for name, image in bundle.folders().items()
        for file in memories.export(image, form, folder / name)
    ]


def beside(image: Path, name: str, remedy: str) -> Path:
    """File ``name`` in the image folder or beside it; InputError, with ``remedy``, if neither."""
    for folder in (image, image.resolve().parent):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name} is missing in image folder {str(image)!r} and beside it: {remedy}")
