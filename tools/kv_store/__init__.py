"""What a quantized store of keys and values costs a model: losses and recall, tables and plots."""
