"""Random Keras models: functional and sequential, nested, with shared layers, several inputs and outputs."""

import keras_graphs
import numpy as np
from random_layers import Dice, L, keras, random_layer, same_shape_layer

__all__ = ["random_images", "random_model"]

#: Names that nested models and their outer ones share, and that look like those of populations and calls.
NAMES = ("a", "b", "c", "a_1", "a_call2", "a_spikes", "a_pooled", "a_membrane", "a_current", "a_readout", "part", "out")
#: More values per image than this do not get larger.
LARGE = 300


class Names:
    """Names of the layers of one model: automatic, explicit, or of both kinds."""

    def __init__(self, dice):
        self.dice, self.kind, self.taken = dice, dice.pick("automatic", "explicit", "mixed"), set()

    def __call__(self):
        free = [name for name in NAMES if name not in self.taken]
        if not free or self.kind == "automatic" or (self.kind == "mixed" and self.dice.chance(2)):
            return None
        name = self.dice.pick(*free[:3])
        self.taken.add(name)
        return name


def random_model(draw):
    """Return a random model with random weights."""
    keras.utils.clear_session(free_memory=False)
    dice = Dice(draw)
    for _ in range(dice.whole(0, 2)):  # automatic names that do not start from 0
        L.Dense(1), L.Conv2D(1, 1), L.ReLU()
    shape = (*dice.pair(2, 6), dice.whole(1, 3))
    if dice.chance(12):
        shape = dice.pick((4,), (4, 3))
    if dice.chance(4):
        model = _sequential(dice, shape, depth=1, top=True)
    else:
        shapes = [shape, (*shape[:-1], dice.whole(1, 3))] if dice.chance(10) else [shape]
        model = _functional(dice, shapes, depth=2, n_out=dice.pick(1, 1, 2, 3), top=True)
    return keras_graphs.randomise(model, dice.whole(0, 99))


def random_images(model, n=3):
    """Return an array of images for each input of a model."""
    return [
        np.random.default_rng(k).uniform(-0.2, 1, size=(n, *tensor.shape[1:])).astype("float32")
        for k, tensor in enumerate(model.inputs)
    ]


def _shape(tensor):
    return tuple(tensor.shape[1:])


def _small(tensor):
    return np.prod(_shape(tensor)) <= LARGE


def _layer(dice, shape, name):
    if np.prod(shape) > LARGE:
        return L.GlobalAveragePooling2D(name=name) if len(shape) == 3 else L.Dense(2, name=name)
    return random_layer(dice, shape, name)


def _sequential(dice, shape, depth, top=False):
    """Return a sequential model; a nested one may be without an input layer."""
    names = Names(dice)
    layers = [keras.Input(shape)] if top or dice.chance(2) else []
    for _ in range(dice.whole(1, 6 if top else 3)):
        if depth and dice.chance(6):
            layers.append(_part(dice, [shape], depth - 1, names(), n_out=1))
        else:
            layers.append(_layer(dice, shape, names()))
        shape = _shape(layers[-1](keras.KerasTensor((None, *shape))))
    if top and dice.chance(2):
        layers += _end(dice, names)
    return keras.Sequential(layers)


def _part(dice, shapes, depth, name, n_out):
    """Return a nested model for tensors of these shapes."""
    if len(shapes) == 1 and dice.chance(2):
        model = _sequential(dice, shapes[0], depth)
    else:
        model = _functional(dice, shapes, depth, n_out)
    model.name = name or model.name
    model.trainable = not dice.chance(12)
    return model


def _end(dice, names):
    """Return the last layers of a classifier, and a few that come after its softmax."""
    layers = [L.Flatten(name=names())] if dice.chance(2) else []
    activation = dice.pick("softmax", "sigmoid", "tanh", "softplus", None)
    separate = activation == "softmax" and dice.chance(2)
    layers.append(L.Dense(dice.whole(1, 4), activation=None if separate else activation, name=names()))
    layers += [L.Softmax(name=names())] if separate else []
    after = dice.pick(
        L.Flatten, lambda: L.Reshape((-1, 1)), lambda: L.Reshape((1, -1)), lambda: L.Dropout(0.1), L.Identity
    )()
    after.name = names() or after.name
    return [*layers, after] if dice.chance(4) else layers


class _Graph:
    """A functional model while it is made: its tensors, and the layers and models that can be called again."""

    def __init__(self, dice, inputs, depth):
        self.dice, self.depth, self.names = dice, depth, Names(dice)
        self.tensors, self.called = list(inputs), []

    def call(self, part, tensors):
        """Call a layer or a model and keep what it gives."""
        shapes = [_shape(t) for t in tensors]
        found = part(tensors if len(tensors) > 1 else tensors[0])
        self.called.append((part, shapes))
        self.tensors += found if isinstance(found, (list, tuple)) else [found]

    def step(self):
        """Add a layer, a nested model, a further call of one of them, or a merge."""
        dice = self.dice
        x = dice.pick(*self.tensors) if dice.chance(3) else self.tensors[-1]
        action = dice.pick("layer", "layer", "layer", "layer", "merge", "merge", "again", "again", "nested")
        if action == "again" and self.called:
            models = [each for each in self.called if isinstance(each[0], keras.Model)]
            part, shapes = dice.pick(*(models if models and dice.chance(2) else self.called))
            self.call(part, [self.of_shape(shape) for shape in shapes])
        elif action == "nested" and self.depth:
            y = dice.pick(*self.tensors)
            tensors = [x, y] if dice.chance(3) and y is not x else [x]
            part = _part(dice, [_shape(t) for t in tensors], self.depth - 1, self.names(), dice.pick(1, 1, 2))
            self.call(part, tensors)
        elif action == "merge" and _small(x):
            self.merge(x)
        elif dice.chance(60):
            self.tensors.append(_operation(dice, x))
        else:
            self.call(_layer(dice, _shape(x), self.names()), [x])

    def of_shape(self, shape):
        """Return a tensor of a shape that the graph has."""
        return self.dice.pick(*[t for t in self.tensors if _shape(t) == shape][::-1])

    def merge(self, x):
        """Merge a tensor with others that fit, or with one that is made to fit."""
        dice = self.dice
        kind = dice.pick(L.Add, L.Add, L.Subtract, L.Average, L.Concatenate, L.Concatenate)
        if dice.chance(60):
            kind = dice.pick(L.Maximum, L.Multiply)
        if kind is L.Concatenate and dice.chance(2):
            axis = dice.whole(0, len(_shape(x)) - 1)
            others = [t for t in self.tensors if _small(t) and _shape(t) == _with(_shape(x), axis, t)]
            layer = L.Concatenate(axis + 1 if dice.chance(2) else axis - len(_shape(x)), name=self.names())
        else:
            others = [t for t in self.tensors if _shape(t) == _shape(x)]
            layer = kind(name=self.names())
        others = [t for t in others if t is not x]
        if not others or dice.chance(3):
            self.call(same_shape_layer(dice, _shape(x), self.names()), [x])
            others = [self.tensors[-1]]
        chosen = [x, dice.pick(*others)]
        if kind is not L.Subtract and dice.chance(4):
            chosen.append(dice.pick(*others))
        self.tensors.append(layer(chosen[::-1] if dice.chance(2) else chosen))


def _with(shape, axis, other):
    """Return the shape with the length of another tensor along an axis, or None if that has another rank."""
    other = _shape(other)
    return None if len(other) != len(shape) else (*shape[:axis], other[axis], *shape[axis + 1 :])


def _operation(dice, x):
    """Return a function of keras.ops, or of Python, of a tensor."""
    return dice.pick(
        lambda: x + x, lambda: x * 2.0, lambda: keras.ops.relu(x), lambda: x - 1.0, lambda: keras.ops.softmax(x),
        lambda: keras.ops.reshape(x, (-1, int(np.prod(_shape(x))))), lambda: keras.ops.concatenate([x, x], axis=-1),
        lambda: keras.ops.flip(x, 1), lambda: keras.ops.add(x, 1.0), lambda: keras.ops.subtract(x, x),
    )()  # fmt: skip


def _functional(dice, shapes, depth, n_out, top=False):
    inputs = [keras.Input(shape) for shape in shapes]
    graph = _Graph(dice, inputs, depth)
    if len(inputs) > 1:  # every input leads to an output
        axis = L.Concatenate(name=graph.names())
        flat = shapes[0][:-1] != shapes[1][:-1]
        graph.tensors.append(axis([L.Flatten(name=graph.names())(x) for x in inputs] if flat else inputs))
    for _ in range(dice.whole(1, 7 if top else 3)):
        graph.step()
    if graph.tensors[-1] is inputs[-1] or (top and dice.chance(3)):
        for layer in _end(dice, graph.names):
            graph.call(layer, [graph.tensors[-1]])
    outputs, made = [graph.tensors[-1]], graph.tensors[len(inputs) :]
    for _ in range(n_out - 1):
        tensor = dice.pick(*made[::-1])
        outputs += [] if any(tensor is other for other in outputs) else [tensor]
    if len(inputs) > 1 and not all(_leads(x, outputs) for x in inputs):
        outputs.append(graph.tensors[2])
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])


def _leads(tensor, outputs):
    """Return whether an output needs a tensor."""
    stack, seen = list(outputs), set()
    while stack:
        each = stack.pop()
        if each is tensor:
            return True
        if id(each) not in seen:
            seen.add(id(each))
            history = each._keras_history
            stack += history.operation._inbound_nodes[history.node_index].input_tensors
    return False
