"""Transcribes the recommenders of kubernetes/autoscaler (VPA) and robusta-dev/krr, statement by
statement and with their names, and writes what they answer to ../cases/recommend.json.

Run `python3 recommend.py` to write the cases again; the tests only read them.
"""
import json
import math
import os

DAY_MS = 86_400_000
EPSILON = 0.001 * 0.1


class ExponentialHistogramOptions:
    def __init__(self, max_value, first_bucket_size, ratio):
        self.first_bucket_size, self.ratio = first_bucket_size, ratio
        self.num_buckets = (
            math.ceil(math.log(max_value * (ratio - 1) / first_bucket_size + 1, ratio)) + 1
        )

    def find_bucket(self, value):
        if value < self.first_bucket_size:
            return 0
        bucket = math.floor(math.log(value * (self.ratio - 1) / self.first_bucket_size + 1, self.ratio))
        return min(bucket, self.num_buckets - 1)

    def get_bucket_start(self, bucket):
        if bucket == 0:
            return 0.0
        return self.first_bucket_size * (self.ratio**bucket - 1) / (self.ratio - 1)


class DecayingHistogram:
    """histogram.go and decaying_histogram.go; the reference time is not shifted, because the
    recorded histories are far shorter than 100 half-lives."""

    def __init__(self, options, half_life_ms, reference_ms):
        self.options, self.half_life_ms = options, half_life_ms
        self.reference_ms = round(reference_ms / half_life_ms) * half_life_ms
        self.bucket_weight = [0.0] * options.num_buckets
        self.total_weight = 0.0

    def add_sample(self, value, weight, time_ms):
        weight *= 2 ** ((time_ms - self.reference_ms) / self.half_life_ms)
        self.bucket_weight[self.options.find_bucket(value)] += weight
        self.total_weight += weight

    def percentile(self, percentile):
        full = [i for i, w in enumerate(self.bucket_weight) if w >= EPSILON]
        if not full:
            return 0.0
        min_bucket, max_bucket = full[0], full[-1]
        partial_sum, threshold, bucket = 0.0, percentile * self.total_weight, min_bucket
        while bucket < max_bucket:
            partial_sum += self.bucket_weight[bucket]
            if partial_sum >= threshold:
                break
            bucket += 1
        if bucket < self.options.num_buckets - 1:
            return self.options.get_bucket_start(bucket + 1)
        return self.options.get_bucket_start(bucket)


def vpa(cpu, memory, ooms):
    cpu_histogram = DecayingHistogram(ExponentialHistogramOptions(1000.0, 0.01, 1.05), DAY_MS, cpu[0][0])
    for time_ms, cores in cpu:
        cpu_histogram.add_sample(cores, 0.1, time_ms)
    # container.go: one peak per interval, replaced as it grows; a kill raises oomPeak.
    start, peaks = memory[0][0], {}
    window, memory_peak = None, 0.0
    queue = sorted([(t, 1, v) for t, v in memory] + [(t, 0, r) for t, r in ooms])
    for time_ms, is_sample, value in queue:
        at = (time_ms - start) // DAY_MS
        if is_sample:
            if window != at:
                window, memory_peak = at, 0.0
            memory_peak = max(memory_peak, value)
            peaks[at] = max(peaks.get(at, 0.0), value)
        else:
            memory_used = max(value, memory_peak)
            memory_needed = max(memory_used + 100 * 1024 * 1024, memory_used * 1.2)
            peaks[at] = max(peaks.get(at, 0.0), memory_needed)
    first = start + DAY_MS * (min(peaks) + 1)
    memory_histogram = DecayingHistogram(ExponentialHistogramOptions(1e12, 1e7, 1.05), DAY_MS, first)
    for at in sorted(peaks):
        if at > max(peaks) - 8:
            memory_histogram.add_sample(peaks[at], 1.0, start + DAY_MS * (at + 1))
    confidence = min((cpu[-1][0] - cpu[0][0]) / DAY_MS, len(cpu) / (60 * 24))
    result = {"confidence_days": confidence}
    for name, histogram, floor in (
        ("cpu_cores", cpu_histogram, 0.025),
        ("memory_bytes", memory_histogram, 250 * 1024 * 1024),
    ):
        def margin(percentile):
            return histogram.percentile(percentile) * 1.15

        result[name] = {
            "target": max(margin(0.9), floor),
            "lower": max(margin(0.5) * (1 + 0.001 / confidence) ** -2, floor),
            "upper": max(margin(0.95) * (1 + 1.0 / confidence) ** 1, floor),
        }
    return result


def percentile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def krr(pods_cpu, pods_memory, oom):
    def cpu(share):
        return max(percentile([v for _, v in pod], share) for pod in pods_cpu)

    largest = max(v for pod in pods_memory for _, v in pod)
    return {
        "simple_cpu": cpu(0.95),
        "limit_cpu": [cpu(0.66), cpu(0.96)],
        "memory": max(largest * (1 + 15 / 100), (oom or 0.0) * (1 + 25 / 100)),
    }


class Dice:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) / 2**31


def history(seed, days, step_minutes, level, spread, start_ms):
    dice, points = Dice(seed), []
    for index in range(days * 24 * 60 // step_minutes):
        time_ms = start_ms + index * step_minutes * 60_000
        day = math.sin(2 * math.pi * index * step_minutes / 1440)
        points.append([time_ms, round(level * (1 + 0.5 * day) + spread * dice.next() ** 4, 6)])
    return points


def main():
    start = 1_660_000_000_000
    cases = []
    for seed, days, level, oom in ((1, 3, 0.2, []), (2, 10, 1.7, []), (3, 9, 0.004, [[5, 3e8]]), (4, 1, 12.0, [[0, 9e9]])):
        cpu = history(seed, days, 15, level, level * 4, start)
        memory = [[t, round(v, 0)] for t, v in history(seed + 9, days, 60, 4e8 * level, 6e8, start + 30_000)]
        ooms = [[start + day * DAY_MS + 7_000_000, request] for day, request in oom]
        half = len(cpu) // 2
        largest = max([request for _, request in oom], default=None)
        cases.append({
            "cpu": cpu, "memory": memory, "ooms": ooms, "oom_limit": largest,
            "vpa": vpa(cpu, memory, ooms),
            "krr": krr([cpu[:half], cpu[half:]], [memory], largest),
        })
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cases", "recommend.json")
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
