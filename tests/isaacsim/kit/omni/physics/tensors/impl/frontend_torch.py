"""Torch tensors, and descriptors of them."""

import omni.physics.tensors as bindings
import torch

_TYPES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.uint8: "uint8",
}


class FrontendTorch:
    def __init__(self, device_ordinal=-1):
        self.device = self._device(device_ordinal)

    @staticmethod
    def _device(ordinal):
        return torch.device("cpu") if ordinal < 0 else torch.device("cuda", ordinal)

    def create_tensor(self, shape, dtype, device=None):
        device = self.device if device is None else self._device(device)
        kind = next(kind for kind, name in _TYPES.items() if getattr(bindings, name) == dtype)
        tensor = torch.zeros(shape, dtype=kind, device=device)
        return tensor, self.get_tensor_desc(tensor)

    def get_tensor_desc(self, tensor):
        desc = bindings.TensorDesc()
        desc.dtype = getattr(bindings, _TYPES[tensor.dtype])
        desc.shape = tuple(tensor.shape)
        desc.data_address = tensor.data_ptr()
        desc.device = -1 if tensor.device.type == "cpu" else tensor.device.index
        return desc

    def as_contiguous_float32(self, tensor):
        return tensor.to(torch.float32).contiguous()

    def as_contiguous_uint32(self, tensor):
        return tensor.to(torch.int32).contiguous()
