"""How fast a release is, in torch and in ONNX Runtime, side by side: latency, throughput, memory, cold start.

bench         zoo.bench, which leads through all of it
contestants   who takes part: engines and devices, and one of them twice (A/A): what it differs by is noise
worker        one contestant's process, which imports nothing of the rest
process       the parent's side of it
rounds        round by round over all of them
figures       what came out
machine       where
"""
