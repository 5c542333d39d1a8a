// BLAKE2s with a key, written from RFC 7693.
'use strict';

const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
  0x5be0cd19];
// One round a string: the order of the sixteen words, in hexadecimal.
const SIGMA = ['0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194', '7931dcbe265a40f8',
  '905724afe1bc683d', '2c6a0b834d75fe19', 'c51fed4a0763928b', 'db7ec13950f4862a',
  '6fe9b308c2d714a5', 'a2847615fb9e3cd0'];
const TURNS = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15],
  [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

const rotated = (word, bits) => (word >>> bits) | (word << (32 - bits));

function compress(h, block, counted, last) {
  const m = [...Array(16).keys()].map((k) => block.readInt32LE(4 * k));
  const v = [...h, ...IV];
  v[12] ^= counted;
  if (last) v[14] = ~v[14];
  for (const order of SIGMA) {
    TURNS.forEach(([a, b, c, d], i) => {
      [[16, 12], [8, 7]].forEach(([first, second], half) => {
        v[a] = (v[a] + v[b] + m[parseInt(order[2 * i + half], 16)]) | 0;
        v[d] = rotated(v[d] ^ v[a], first);
        v[c] = (v[c] + v[d]) | 0;
        v[b] = rotated(v[b] ^ v[c], second);
      });
    });
  }
  for (let k = 0; k < 8; k++) h[k] ^= v[k] ^ v[k + 8];
}

// The hash of `size` bytes of `message` (not empty), with `key` of 1 to 32 bytes.
exports.blake2s = (size, key, message) => {
  const data = Buffer.concat([key, Buffer.alloc(64 - key.length), message]);
  const h = [...IV];
  h[0] ^= 0x01010000 ^ (key.length << 8) ^ size;
  for (let at = 0; at < data.length; at += 64) {
    const end = Math.min(at + 64, data.length);
    const block = Buffer.alloc(64);
    data.copy(block, 0, at, end);
    compress(h, block, end, end === data.length);
  }
  const out = Buffer.alloc(32);
  h.forEach((word, k) => out.writeInt32LE(word | 0, 4 * k));
  return out.subarray(0, size);
};
