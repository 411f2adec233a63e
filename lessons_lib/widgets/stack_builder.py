"""The stack builder: edit the layers of a network and see sizes, costs, and the inputs behind any output pixel."""

import traitlets
from matplotlib.figure import Figure

from lessons_lib.shapes import conv_output, pool_output
from lessons_lib.widgets.base import LessonWidget

MOST_LAYERS = 20
LARGEST = {"conv": (11, 8, 32, 32, 1024), "pool": (11, 8, 5)}  # of each setting, in the order of a layer


def _convs(channels: int, *dilations: int) -> list[list]:
    """3x3 convolutions that keep the size."""
    return [["conv", 3, 1, dilation, dilation, channels] for dilation in dilations]


_POOL, _HEAD = [["pool", 2, 2, 0]], [["conv", 1, 1, 0, 1, 7]]
_WINDOW = [["conv", 3, 1, 0, dilation, 16] for dilation in (1, 1, 2, 4)] + [["conv", 1, 1, 0, 1, 16]] * 2 + _HEAD
_CLASSIFIER = [layer for width in (64, 128, 256, 512, 512) for layer in _convs(width, 1, 1) + _POOL]
PRESETS = {
    "classifier to 1/32": (224, _CLASSIFIER),  # the convolutions of VGG-13
    "chapter 2's window": (17, _WINDOW),
    "pooled": (96, (_convs(8, 1, 1) + _POOL) * 3 + _convs(8, 1, 1)),
    "full resolution": (96, _convs(16, *[1] * 7) + _HEAD),
    "dilated": (96, _convs(16, 1, 1, 2, 4, 8, 16, 1) + _HEAD),
}


class StackBuilder(LessonWidget):
    """A network of convolutions and pooling layers that the reader builds, layer by layer.

    Args:
        preset: name of one of PRESETS to begin with.
        **state: of the first frame: `size` of the square image, 1 to 256 px; `layers`, each of them ["conv", kernel,
            stride, padding, dilation, channels] or ["pool", kernel, stride, padding]; `selected`, the layer that is
            edited, 0 is the image; `row` and `place`, layer and position of the pixel whose inputs are lit; `guess` in
            px; `revealed`; `title`; `alt`.

    Raises:
        KeyError: there is no such preset.
        traitlets.TraitError: a layer is none, or a setting is out of range.

    Example:
        >>> StackBuilder("chapter 2's window").layers[3]
        ['conv', 3, 1, 0, 4, 16]
    """

    name = "stack_builder"
    title = traitlets.Unicode("Build a stack of layers").tag(sync=True)
    alt = traitlets.Unicode("One row of pixels a layer, from the image down to the last map.").tag(sync=True)
    presets = traitlets.List().tag(sync=True)
    channels = traitlets.Int(3).tag(sync=True)  # of the image
    limits = traitlets.Dict({"layers": MOST_LAYERS, "size": 256, **LARGEST}).tag(sync=True)
    size = traitlets.Int(min=1, max=256).tag(sync=True)  # px
    layers = traitlets.List(maxlen=MOST_LAYERS).tag(sync=True)
    selected = traitlets.Int(0, min=0, max=MOST_LAYERS).tag(sync=True)
    row = traitlets.Int(MOST_LAYERS, min=0, max=MOST_LAYERS).tag(sync=True)
    place = traitlets.Float().tag(sync=True)  # px of the image
    guess = traitlets.Int(32, min=0, max=256).tag(sync=True)  # px, 0 is none
    revealed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, preset: str = "classifier to 1/32", **state):
        state = dict(zip(("size", "layers"), PRESETS[preset])) | state
        choices = [{"name": name, "size": size, "layers": layers} for name, (size, layers) in PRESETS.items()]
        super().__init__(presets=choices, **{"place": (state["size"] - 1) / 2} | state)

    @traitlets.validate("layers")
    def _are_layers(self, proposal):
        for kind, *settings in proposal["value"]:
            most = LARGEST.get(kind, ())
            whole = len(settings) == len(most) > 0 and all(isinstance(value, int) for value in settings)
            if not (whole and all(low <= value <= high for low, value, high in zip((1, 1, 0, 1, 1), settings, most))):
                raise traitlets.TraitError(
                    f"a layer is ['conv', kernel, stride, padding, dilation, channels] or ['pool', kernel, stride, "
                    f"padding], whole numbers up to {LARGEST}: got {[kind, *settings]}; mend it"
                )
        return proposal["value"]

    def still(self) -> Figure:
        """Draw the pixels of every layer, each as wide as its step in the image.

        Returns:
            A figure of one row of pixels a layer, from the image down, as far as the layers are possible.
        """
        figure = Figure(figsize=(7, 0.3 * len(self.layers) + 0.7), layout="constrained")
        ax = figure.add_subplot(ylim=(len(self.layers) + 0.5, -0.5), xlim=(-1, 1.1 * self.size + 4))
        size, start, jump = self.size, 0.0, 1
        for row, (kind, kernel, stride, padding, *more) in enumerate([("conv", 1, 1, 0, 1), *self.layers]):
            dilation = more[0] if more else 1
            try:
                size = (conv_output if kind == "conv" else pool_output)(size, kernel, stride, padding, dilation)
            except ValueError:
                break
            start, jump = start + (dilation * (kernel - 1) / 2 - padding) * jump, jump * stride
            bars = [(start + (pixel - 0.45) * jump, 0.9 * jump) for pixel in range(size)]
            ax.broken_barh(bars, (row - 0.3, 0.6), color="#C4602A", alpha=0.6, lw=0, snap=False)
            ax.text(self.size + 2, row, f"{size} px", va="center", color="0.5")
        ax.set_axis_off()
        return figure
