// A control plane in JavaScript, written from docs/control-plane.md alone: MQTT 3.1.1, msgpack
// and HMAC with what Node has. Prints one JSON line per command and exits 0.
//
//   node plane_client.mjs PORT DEVICE KID SECRET_BASE64
import { createHmac, randomBytes } from "node:crypto";
import { connect } from "node:net";

const [port, device, kid, secret64] = process.argv.slice(2);
const secret = Buffer.from(secret64, "base64");
const base = `ed/v1/${device}`;

// ---- msgpack: what the page needs of it ----

function pack(value) {
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === "number") {
    const out = Buffer.alloc(9);
    if (Number.isInteger(value) && value >= 0) {
      out[0] = 0xcf;
      out.writeBigUInt64BE(BigInt(value), 1);
    } else {
      out[0] = 0xcb;
      out.writeDoubleBE(value, 1);
    }
    return out;
  }
  if (Buffer.isBuffer(value)) {
    const head = Buffer.from([0xc5, value.length >> 8, value.length & 255]);
    return Buffer.concat([head, value]);
  }
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from([0xda, text.length >> 8, text.length & 255]), text]);
  }
  if (Array.isArray(value)) {
    return Buffer.concat([Buffer.from([0x90 | value.length]), ...value.map(pack)]);
  }
  const rows = Object.entries(value).flatMap(([key, item]) => [pack(key), pack(item)]);
  return Buffer.concat([Buffer.from([0xde, 0, rows.length / 2]), ...rows]);
}

function unpack(data) {
  let at = 0;
  const uint = (bytes) => {
    const value = Number(bytes === 8 ? data.readBigUInt64BE(at) : data.readUIntBE(at, bytes));
    at += bytes;
    return value;
  };
  const int = (bytes) => {
    const value = Number(bytes === 8 ? data.readBigInt64BE(at) : data.readIntBE(at, bytes));
    at += bytes;
    return value;
  };
  const text = (length) => data.toString("utf8", at, (at += length));
  const list = (length) => Array.from({ length }, next);
  const map = (length) => Object.fromEntries(Array.from({ length }, () => [next(), next()]));
  function next() {
    const tag = data[at++];
    if (tag < 0x80) return tag;
    if (tag < 0x90) return map(tag & 15);
    if (tag < 0xa0) return list(tag & 15);
    if (tag < 0xc0) return text(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xca: at += 4; return data.readFloatBE(at - 4);
      case 0xcb: at += 8; return data.readDoubleBE(at - 8);
      case 0xcc: return uint(1);
      case 0xcd: return uint(2);
      case 0xce: return uint(4);
      case 0xcf: return uint(8);
      case 0xd0: return int(1);
      case 0xd1: return int(2);
      case 0xd2: return int(4);
      case 0xd3: return int(8);
      case 0xd9: return text(uint(1));
      case 0xda: return text(uint(2));
      case 0xdc: return list(uint(2));
      case 0xde: return map(uint(2));
      default: throw new Error(`msgpack ${tag.toString(16)}`);
    }
  }
  return next();
}

// ---- MQTT 3.1.1: connect, subscribe, publish and receive at QoS 1 ----

function packet(head, ...parts) {
  const body = Buffer.concat(parts);
  const size = [];
  for (let left = body.length; size.length === 0 || left > 0; left >>= 7) {
    size.push((left & 127) | (left > 127 ? 128 : 0));
  }
  return Buffer.concat([Buffer.from([head, ...size]), body]);
}

function word(text) {
  const data = Buffer.from(text);
  return Buffer.concat([Buffer.from([data.length >> 8, data.length & 255]), data]);
}

const socket = connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
const waiting = []; // [predicate, resolve]
let status = {};
let pending = Buffer.alloc(0);
let mid = 10;

function heard(topic, payload) {
  const message = unpack(payload);
  if (topic === `${base}/status`) status = message;
  for (const entry of [...waiting]) {
    if (entry[0](topic, message)) {
      waiting.splice(waiting.indexOf(entry), 1);
      entry[1](message);
    }
  }
}

function take(type, body) {
  if (type >> 4 !== 3) {
    heardControl(type >> 4);
    return;
  }
  const qos = (type >> 1) & 3;
  const end = 2 + body.readUInt16BE(0);
  const topic = body.toString("utf8", 2, end);
  if (qos === 1) socket.write(packet(0x40, body.subarray(end, end + 2)));
  heard(topic, body.subarray(end + (qos ? 2 : 0)));
}

const control = new Map(); // packet type -> resolve
function heardControl(type) {
  control.get(type)?.();
}
const acked = (type) => new Promise((resolve) => control.set(type, resolve));

socket.on("data", (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  for (;;) {
    let size = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7, at++) {
      if (at >= pending.length) return;
      size |= (pending[at] & 127) << shift;
      if (pending[at] < 128) break;
    }
    at++;
    if (pending.length < at + size) return;
    const [type, body] = [pending[0], pending.subarray(at, at + size)];
    pending = pending.subarray(at + size);
    take(type, body);
  }
});

function until(predicate, seconds, what) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing heard: ${what}`)), seconds * 1000);
    waiting.push([predicate, (message) => (clearTimeout(timer), resolve(message))]);
  });
}

// ---- the plane ----

const LAST = new Set(["done", "rejected", "failed", "cancelled"]);

// After `stale_session` the page says: read the status and send a new command.
async function command(op, args = {}) {
  for (;;) {
    const outcome = await attempt(op, args);
    if (outcome.why?.reason !== "stale_session") {
      console.log(JSON.stringify({ op, ...outcome }));
      return;
    }
    await until((topic, m) => topic === `${base}/status` && m.on, 30, "status");
  }
}

async function attempt(op, args) {
  const topic = `${base}/cmd`;
  const body = pack({
    id: randomBytes(16).toString("hex"),
    dev: device,
    op,
    args,
    boot: status.boot,
    sess: status.sess,
    ctr: Math.round((performance.timeOrigin + performance.now()) * 1000),
    ttl: 5000,
    by: "node",
  });
  const id = unpack(body).id;
  const signed = Buffer.concat([Buffer.from(`edge-cmd-v1\0${topic}\0`), body]);
  const sig = createHmac("sha256", secret).update(signed).digest();
  const isLast = (where, m) => where === `${base}/resp` && m.id === id && LAST.has(m.st);
  const answer = until(isLast, 30, op);
  mid += 1;
  const number = Buffer.from([mid >> 8, mid & 255]);
  socket.write(packet(0x32, word(topic), number, pack([body, sig, kid])));
  return answer;
}

await new Promise((resolve) => socket.once("connect", resolve));
let done = acked(2);
const flags = Buffer.from([4, 2, 0, 60]); // level 3.1.1, clean session, keepalive 60 s
socket.write(packet(0x10, word("MQTT"), flags, word(`node-${process.pid}`)));
await done;
done = acked(9);
const online = until((topic, m) => topic === `${base}/status` && m.on, 30, "status");
const topics = [`${base}/status`, `${base}/resp`].map((t) => Buffer.concat([word(t), Buffer.from([1])]));
socket.write(packet(0x82, Buffer.from([0, 1]), ...topics));
await done;
await online;
await command("arm", { within_s: 30 });
await command("set-goal", { channel: "supply_setpoint", value: 16.5 });
await command("set-goal", { channel: "supply_setpoint", value: 95 });
await command("stop");
socket.end(packet(0xe0));
