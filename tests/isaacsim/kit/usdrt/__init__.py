"""NVIDIA's cloner imports it, for clones that are made in Fabric, which is not imitated."""
