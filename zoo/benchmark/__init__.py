"""Compares releases in torch and in ONNX Runtime: latency, throughput, memory and cold start.

bench      zoo.bench, the entry point
backends   the engines and devices to compare; one backend is measured twice (A/A), and its difference is noise
worker     the process of one backend, which imports nothing of the other modules
process    the parent's handle of that process
rounds     interleaved rounds over all backends
results    latencies, throughputs and ratios
machine    the processor, the system and the load
"""
