"""transformers in float64 throughout, and what it computes on the way.

transformers computes norms, rotary angles and the softmax in float32 even in a float64 model, by
`.float()`, `.to(torch.float32)` and `dtype=torch.float32`. Inside `float64_everywhere()` these
names mean float64. The caller shows that the function is the same by the library as it is.
"""

import contextlib

import torch


@contextlib.contextmanager
def float64_everywhere():
    saved = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = saved[:3]
        torch.set_default_dtype(saved[3])


def _first(value):
    return value[0] if isinstance(value, tuple) else value


def _input(args, kwargs):
    return args[0] if args else kwargs["hidden_states"]


class Recorder:
    """Runs a decoder-only model and records its activations."""

    def __init__(self, model, top_k=0):
        self.model, self.top_k = model, top_k
        self.acts, self.router_gap = {}, float("inf")
        decoder = model.model
        self._before(decoder.layers[0], "embd")
        for i, layer in enumerate(decoder.layers):
            self._before(self._second_half(layer), f"blk.{i}.attn_residual")
            self._after(layer, f"blk.{i}.out")
            for name, module in layer.named_modules():
                if name.endswith((".gate", ".router")) and hasattr(module, "weight"):
                    module.register_forward_pre_hook(self._see_router)
        self._after(decoder.norm, "final_norm")

    @staticmethod
    def _second_half(layer):
        """The module whose input is the layer's state between attention and feed-forward."""
        if hasattr(layer, "pre_feedforward_layernorm"):
            return layer.pre_feedforward_layernorm
        if hasattr(layer, "input_layernorm"):
            return layer.post_attention_layernorm
        return layer.mlp  # olmo2 has no norm before its branches

    def _before(self, module, name):
        module.register_forward_pre_hook(
            lambda _m, args, kwargs: self._keep(name, _input(args, kwargs)), with_kwargs=True)

    def _after(self, module, name):
        module.register_forward_hook(lambda _m, _args, out: self._keep(name, _first(out)))

    def _keep(self, name, value):
        self.acts[name] = value.detach().reshape(-1, value.shape[-1]).clone()

    def _see_router(self, module, args):
        x = args[0].detach().reshape(-1, args[0].shape[-1])
        logits = torch.nn.functional.linear(x, module.weight, getattr(module, "bias", None))
        ordered = logits.sort(dim=-1, descending=True).values
        gap = (ordered[:, self.top_k - 1] - ordered[:, self.top_k]).min().item()
        self.router_gap = min(self.router_gap, gap)

    def forward(self, tokens):
        """name -> tensor [tokens, size]."""
        self.acts = {}
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([tokens]), use_cache=False).logits
        self._keep("logits", logits)
        return self.acts

    def greedy(self, tokens, num_new, min_gap):
        """(ids, gaps), cut short at a gap between best and second below `min_gap`."""
        tokens, gaps = list(tokens), []
        start = len(tokens)
        for _ in range(num_new):
            logits = self.forward(tokens)["logits"][-1]
            best, second = logits.topk(2).values.tolist()
            gaps.append(best - second)
            tokens.append(int(logits.argmax()))
            if gaps[-1] < min_gap:
                break
        return tokens[start:], gaps


def load(model, weights):
    """Copies numpy arrays into the parameters of the same names."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    return model
