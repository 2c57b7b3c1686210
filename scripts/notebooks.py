"""Run the notebooks in docs/notebooks and store their outputs.

python scripts/notebooks.py

Run it after a change to a cell or to its output, and look at the result. Each notebook runs in an
empty folder, in a kernel of the Python interpreter that runs this script.
"""

import argparse
import re
import tempfile
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs/notebooks"
TIMEOUT = 600
"""Time limit of a cell [s]."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class ThisPython(AsyncKernelManager):
    """Starts the running interpreter as the kernel, instead of an installed kernel."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel of the running interpreter."""
        return KernelSpec(**get_kernel_dict())


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run a notebook's cells in a folder, and keep their outputs in it.

    Raises:
        CellExecutionError: A cell raises.
    """
    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        timeout=TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    )
    with tempfile.TemporaryDirectory() as sockets:
        kernel = client.create_kernel_manager()
        kernel.transport, kernel.connection_file = "ipc", f"{sockets}/kernel.json"
        client.execute()
    # Replace the metadata, which differ from machine to machine.
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}


def main() -> None:
    """Run all notebooks and store them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to store them in")
    parser.add_argument(
        "--short", action="store_true", help="race one lap and train briefly, to test the cells"
    )
    options = parser.parse_args()
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if options.short:
            for cell in notebook.cells:
                cell.source = re.sub(r"laps=\d", "laps=1", cell.source)
                cell.source = re.sub(
                    r"total_timesteps=[\d_]+", "total_timesteps=1024, num_envs=16", cell.source
                )
        with tempfile.TemporaryDirectory() as folder:
            run(notebook, Path(folder))
        nbformat.validate(notebook)
        nbformat.write(notebook, options.out / path.name)
        print(f"{path.name}: {(options.out / path.name).stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
