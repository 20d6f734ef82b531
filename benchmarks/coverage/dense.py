"""Worlds of dense outputs: images are the examples, their pixels come in patches."""

import numpy as np

NUM_CLASSES = 3
SIDE = 12
WORLDS = ("even", "few bad images", "patches")


def draw(world, num_images, generator):
    """Returns true probabilities and those of two models, (n, 12, 12, 3) each.

    Pixels of an image share its difficulty, and those of a patch of 4 x 4 a part of their own.
    """
    normal = generator.standard_normal
    image = normal((num_images, 1, 1))
    patch = np.kron(normal((num_images, 3, 3)), np.ones((1, 4, 4)))
    pixel = normal((num_images, SIDE, SIDE))
    if world == "even":
        logit = 2.5 + 0.5 * image + 1.0 * pixel
    elif world == "patches":
        logit = 2.5 + 0.7 * image + 1.5 * patch + 0.5 * pixel
    else:
        logit = np.where(generator.random((num_images, 1, 1)) < 0.1, 0.3, 3.5) + 0.7 * pixel
    leader = (np.cumsum(generator.random((num_images, 1, 1)) < 0.5, axis=0) % 2).astype(int)
    leader = np.where(
        np.kron(generator.random((num_images, 3, 3)), np.ones((1, 4, 4))) < 0.15, 2, leader
    )
    other = 1.3 * logit + 0.4 * pixel + 0.2 * image
    return tuple(_table(x, leader) for x in (logit, 1.2 * logit, other))


def _table(logit, leader):
    top = 1.0 / (1.0 + np.exp(-logit))
    table = np.repeat((0.4 * (1.0 - top))[..., None], NUM_CLASSES, axis=-1)
    np.put_along_axis(
        table, ((leader + 1) % NUM_CLASSES)[..., None], 0.6 * (1 - top)[..., None], -1
    )
    np.put_along_axis(table, leader[..., None], top[..., None], -1)
    return table


def labels_of(truth, generator):
    """Returns a label of each pixel; neighbours in a patch share what decides it.

    Errors then come in patches, as those of segmentation do.
    """
    shared = np.kron(generator.random((len(truth), 3, 3)), np.ones((1, 4, 4)))
    own = generator.random(shared.shape)
    uniform = np.where(generator.random(shared.shape) < 0.5, shared, own)
    return (uniform[..., None] > np.cumsum(truth, axis=-1)[..., :-1]).sum(axis=-1)
