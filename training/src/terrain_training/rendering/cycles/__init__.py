"""Path-traced pictures of generated lunar worlds, rendered by Blender's Cycles."""
