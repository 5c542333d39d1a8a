"""The floor: the least that any Python loop must do per tick, written by hand.

    python bench/floor_loop.py TTY MODEL.onnx FIFO_PRIORITY SENSORS ACTUATORS

One frame in, one inference, one clamped frame out. No link, no session, no checks beyond the
CRC, no mode, no record: what is left is what the wire format and the model cost. It is the
measure for `bench/tick.py`, so it takes every shortcut that an honest loop may take.
"""

import gc
import os
import struct
import sys
import tty
import zlib

os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import msgspec
import numpy as np
import onnxruntime as ort

priority, sensors, actuators = (int(word) for word in sys.argv[3:6])
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
(observation,), (action,) = session.get_inputs(), session.get_outputs()
inputs = np.zeros((1, int(observation.shape[1])), np.float32)
outputs = np.zeros((1, actuators), np.float32)
binding = session.io_binding()
binding.bind_cpu_input(observation.name, inputs)
binding.bind_output(action.name, "cpu", 0, np.float32, outputs.shape, outputs.ctypes.data)
run, bound = session._sess.run_with_iobinding, binding._iobinding  # noqa: SLF001 - the quickest call
in_bytes, out_bytes = inputs.data.cast("B"), outputs.data.cast("B")
pack, unpack = struct.Struct(f"{inputs.size}f").pack_into, struct.Struct(f"{actuators}f").unpack
header, decode, encode = struct.Struct("<BHH"), msgspec.msgpack.decode, msgspec.msgpack.encode
columns = [i % sensors - sensors for i in range(inputs.size)]  # telemetry ends with the sensors
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(fd)
if priority:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
gc.freeze()
gc.disable()
os.write(fd, b"\0")  # ready
while data := os.read(fd, 4096):
    raw = bytearray(data[1 : data.index(0, 1)])
    i = 0
    while i < len(raw):  # COBS: each code is the distance to the next zero
        raw[i], i = 0, i + raw[i]
    if zlib.crc32(raw[1:-4]) == int.from_bytes(raw[-4:], "little"):
        _, seq, token = header.unpack_from(raw, 1)
        values = decode(raw[6:-4])
        pack(in_bytes, 0, *[values[c] * 0.01 for c in columns])
        run(bound, None)
        command = [min(max(round(x * 10), 0), 1000) for x in unpack(out_bytes)]
        answer = header.pack(0x10, seq, token) + encode(command)
        answer += zlib.crc32(answer).to_bytes(4, "little")
        stuffed = b"".join([bytes((len(part) + 1,)) + part for part in answer.split(b"\0")])
        os.write(fd, b"\0" + stuffed + b"\0")
