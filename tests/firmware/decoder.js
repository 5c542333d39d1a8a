// An independent receiver of the wire in firmware_bridge/PROTOCOL.md, written from that document
// alone. Reads vectors.json, decodes and encodes every frame, and says what differs.
//     node decoder.js vectors.json
'use strict';
const fs = require('fs');
const { blake2s } = require('./blake2s.js');

const FROM_DEVICE = 0x80;
const UNSALTED = 0x40;

// CRC-32 as in zlib: reflected, polynomial 0xedb88320, `start` continues an earlier one.
function crc32(bytes, start) {
  let crc = ~start >>> 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// One integer at bytes[at] in its shortest form: [value, next position], or null.
function integer(bytes, at) {
  const code = bytes[at];
  if (code === undefined) return null;
  if (code < 0x80) return [code, at + 1];
  if (code >= 0xe0) return [code - 256, at + 1];
  const signed = code >= 0xd0;
  const size = { 0xcc: 1, 0xcd: 2, 0xce: 4, 0xd0: 1, 0xd1: 2, 0xd2: 4 }[code];
  if (size === undefined || at + 1 + size > bytes.length) return null;
  const value = signed ? bytes.readIntBE(at + 1, size) : bytes.readUIntBE(at + 1, size);
  if (signed && value >= 0) return null;
  return encodeInteger(value).length === 1 + size ? [value, at + 1 + size] : null;
}

function encodeInteger(value) {
  if (value >= -32 && value < 128) return Buffer.from([value & 255]);
  const rows = value < 0 ? [[0xd0, 1, 128], [0xd1, 2, 32768], [0xd2, 4, 2 ** 31]]
    : [[0xcc, 1, 255], [0xcd, 2, 65535], [0xce, 4, 2 ** 32 - 1]];
  const [code, size] = rows.find(([, , limit]) => (value < 0 ? -value : value) <= limit);
  const out = Buffer.alloc(1 + size, code);
  if (value < 0) out.writeIntBE(value, 1, size);
  else out.writeUIntBE(value, 1, size);
  return out;
}

function body(bytes) {
  let count = bytes[0] & 15;
  let at = 1;
  if (bytes[0] === 0xdc) {
    if (bytes.length < 3) return null;
    count = bytes.readUInt16BE(1);
    at = 3;
    if (count < 16) return null;
  } else if (bytes[0] >> 4 !== 9) return null;
  const values = [];
  for (; count > 0; count--) {
    const read = integer(bytes, at);
    if (read === null) return null;
    values.push(read[0]);
    at = read[1];
  }
  return at === bytes.length ? values : null;
}

// What a frame ends with: four bytes, or in the keyed mode eight. A checker is made for the session.
function crcOf(salt) {
  const check = (frame) => {
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(frame, frame[0] & UNSALTED ? 0 : salt));
    return crc;
  };
  return Object.assign(check, { size: 4 });
}

function tagOf(key, session, number) {
  const prefix = Buffer.alloc(24);
  [...session, number >>> 16].forEach((word, k) => prefix.writeUInt32LE(word, 4 * k));
  const check = (frame) => {
    const before = frame[0] & UNSALTED ? Buffer.alloc(24) : prefix;
    return blake2s(8, key, Buffer.concat([before, frame]));
  };
  return Object.assign(check, { size: 8 });
}

// One piece between two delimiters: a frame, or the cause for which it is dropped.
function decode(piece, check, expect) {
  if (piece.length <= 6 + check.size) return 'too_short';
  if (piece.length > 201) return 'too_long';
  const raw = Buffer.from(piece);
  let at = 0;
  while (at < raw.length) {
    const step = raw[at];
    raw[at] = 0;
    at += step;
  }
  if (at !== raw.length) return 'cobs';
  const frame = raw.subarray(1, -check.size);
  const kind = frame[0];
  if ((kind & FROM_DEVICE) !== expect) return 'reflected';
  if (!check(frame).equals(raw.subarray(-check.size))) return 'crc';
  const values = body(frame.subarray(5));
  if (values === null) return 'body';
  return { kind, seq: frame.readUInt16LE(1), token: frame.readUInt16LE(3), values };
}

function encode({ kind, seq, token, values }, check) {
  const head = Buffer.alloc(5);
  head[0] = kind;
  head.writeUInt16LE(seq, 1);
  head.writeUInt16LE(token, 3);
  const n = values.length;
  const array = Buffer.from(n < 16 ? [0x90 | n] : [0xdc, n >> 8, n & 255]);
  const frame = Buffer.concat([head, array, ...values.map(encodeInteger)]);
  const raw = Buffer.concat([Buffer.from([0]), frame, check(frame), Buffer.from([0])]);
  for (let from = 0, at = 1; at < raw.length; at++) {
    if (raw[at] === 0) {
      raw[from] = at - from;
      from = at;
    }
  }
  raw[raw.length - 1] = 0;
  return Buffer.concat([Buffer.from([0]), raw]);
}

const vectors = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { session, keyed } = vectors;
const key = Buffer.from(keyed.key, 'hex');
const named = [session.schema_hash, session.envelope_hash, session.boot_nonce, session.host_nonce,
  keyed.session_number];
const wrong = [];

function judge({ accept, reject }, checkOf, receiverOf) {
  for (const vector of accept) {
    const { kind, seq, token, values } = vector;
    const wire = Buffer.from(vector.wire, 'hex');
    const got = decode(wire.subarray(1, -1), checkOf(vector), kind & FROM_DEVICE);
    if (JSON.stringify(got) !== JSON.stringify({ kind, seq, token, values })) wrong.push(vector.name);
    if (!encode(vector, checkOf(vector)).equals(wire)) wrong.push(`${vector.name} (encoding)`);
  }
  for (const vector of reject) {
    const expect = receiverOf(vector) === 'device' ? 0 : FROM_DEVICE;
    const piece = Buffer.from(vector.wire, 'hex').subarray(1, -1);
    const got = decode(piece, checkOf(vector), expect);
    if (got !== vector.cause) wrong.push(`${vector.name}: ${JSON.stringify(got)}`);
  }
  return `${accept.length} accepted, ${reject.length} rejected`;
}

const said = judge(vectors, () => crcOf(session.salt), (vector) => vector.receiver);
const keyedSaid = judge(keyed, (vector) => tagOf(key, named, vector.number), () => 'device');
console.log(wrong.length ? wrong.join('\n') : `${said}; keyed: ${keyedSaid}`);
process.exitCode = wrong.length ? 1 : 0;
