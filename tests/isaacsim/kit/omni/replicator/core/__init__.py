"""In place of omni.replicator.core: tiled render products, and annotators that read them."""

from kit_world import WORLD

WORLD.require_extension("omni.replicator.core")

from kit_render import ANNOTATORS, RenderProduct, buffer_of  # noqa: E402

from . import create  # noqa: E402


class AnnotatorRegistryError(Exception):
    pass


class AnnotatorError(Exception):
    pass


class Annotator:
    def __init__(self, name, device, do_array_copy):
        self._name, self._device, self._do_array_copy = name, device or "cpu", do_array_copy
        self._product: RenderProduct | None = None

    def attach(self, render_products, render_product_idxs=None):
        paths = [render_products] if isinstance(render_products, str) else render_products
        (path,) = paths
        self._product = next(each for each in WORLD.products if each.path == path)
        self._product.outputs.add(self._name)

    def detach(self, render_products=None):
        if self._product is None:
            raise AnnotatorError("Unable to detach annotator, it is not attached")
        self._product = None

    def get_data(self, device=None, do_array_copy=False):
        if self._product is None:
            raise AnnotatorError("Unable to get data, annotator is not attached")
        return buffer_of(
            self._product,
            self._name,
            device or self._device,
            do_array_copy or self._do_array_copy,
        )


class AnnotatorRegistry:
    @classmethod
    def get_annotator(
        cls, name, init_params=None, render_product_idxs=None, device=None, do_array_copy=True
    ):
        if name not in ANNOTATORS:
            raise AnnotatorRegistryError(f"No annotator of name {name} registered")
        return Annotator(name, device, do_array_copy)
