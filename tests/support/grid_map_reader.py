"""A GridMap is read as grid_map does, in version 2.2 for Jazzy.

GridMapRosConverter.cpp and GridMapMsgHelpers.hpp say how data becomes a matrix, GridMapMath.cpp
where its cells lie.
"""

import numpy as np


class GridMap:
    """Look positions up in a message as grid_map does."""

    def __init__(self, message):
        assert len(message.layers) == len(message.data)
        assert (message.outer_start_index, message.inner_start_index) == (0, 0)
        self.info = message.info
        self.basic = list(message.basic_layers)
        self.layers = {
            name: self.matrix(array) for name, array in zip(message.layers, message.data)
        }
        size = np.array([message.info.length_x, message.info.length_y]) / message.info.resolution
        self.size = np.rint(size).astype(int)
        for matrix in self.layers.values():
            assert matrix.shape == tuple(self.size)

    @staticmethod
    def matrix(array):
        """Map the data to a column-major matrix, as Eigen does."""
        outer, inner = array.layout.dim
        assert (outer.label, inner.label) == ("column_index", "row_index")
        assert (outer.stride, inner.stride) == (outer.size * inner.size, inner.size)
        assert array.layout.data_offset == 0
        return np.array(array.data, np.float32).reshape((inner.size, outer.size), order="F")

    def at(self, layer, x_m, y_m):
        """Return the value at a position: indices grow against x and y, from the far corner."""
        middle = self.info.pose.position
        corner = np.array([middle.x, middle.y]) + 0.5 * np.array(
            [self.info.length_x, self.info.length_y]
        )
        index = np.floor((corner - [x_m, y_m]) / self.info.resolution).astype(int)
        return self.layers[layer][tuple(index)]
