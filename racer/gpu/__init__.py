"""The whole loop on a GPU: cars, rules, rewards and sensors as kernels of NVIDIA Warp.

The same kernels run on a CPU, where the tests compare them with the numba code that they follow.
`runtime.load_warp` loads Warp; the modules with kernels are imported after it, inside functions,
so that racer works without Warp.
"""
