// A Raspberry Pi Pico in the emulator rp2040js, that lives only as long as it is told to: its time
// is that of its own instructions.
//     node rp2040_run.js RP2040JS BOOTROM IMAGE
// RP2040JS: the folder of the npm package. BOOTROM: the chip's boot ROM, its 16384 bytes or a text
// with its 32-bit words in C's hexadecimal. IMAGE: the flash from its first byte.
//
// A line of standard input is an order: {"live_ns": n}, and what happens first: "line", bytes in
// hexadecimal that begin to arrive; "flash", [[address, bytes]]; "sensors", what the converters
// read. Each answer is what happened meanwhile: "line", the bytes that have arrived whole;
// "edges", [[ns, pin, 0 low | 1 high | other: floating]]; "starts", when the chip left its reset;
// "lost", bytes that found a FIFO full; "now_ns"; and the "baud" that was chosen.
//
// Owns: the line in both directions at that baud, and what rp2040js leaves out: a send FIFO that
// can be full, the ring oscillator's noise, the reset by the watchdog. Must not: know a frame.
'use strict';
const crypto = require('crypto');
const fs = require('fs');

const [library, bootromFile, imageFile] = process.argv.slice(2);
const { RP2040 } = require(library);

const FLASH = 0x10000000;
const BOOTROM_SIZE = 16384;
const WATCHDOG = 0x40058; // as the emulator's table has it: the address in units of 4 kB
const ROSC = 0x40060;
const ROSC_STATUS = 0x18;
const ROSC_IS_STABLE = 0x80001000;
const ROSC_RANDOMBIT = 0x1c;
const UARTFR = 0x18;
const UART_TXFF = 1 << 5;
const UART_FIFO = 32;
const BITS = 10; // of a byte on the line
const PINS = [2, 4, 6, 8];

const flash = new Uint8Array(fs.readFileSync(imageFile));
const bootrom = readBootrom(bootromFile);
const toChip = [];
const toHost = []; // [byte, when its stop bit has passed]
let sensors = [0, 0];
let report = { edges: [], starts: [], lost: 0 };
let chip = null;
let bornNs = 0; // the present chip, by the clock of the first
let freeAtNs = 0; // the line from the chip
let nextNs = 0; // the next byte to the chip
let watchdogBarked = false;

function readBootrom(file) {
  const bytes = fs.readFileSync(file);
  if (bytes.length === BOOTROM_SIZE) return new Uint32Array(new Uint8Array(bytes).buffer);
  const words = (bytes.toString('latin1').match(/\b0x[0-9a-f]{8}\b/gi) || []).map(Number);
  if (words.length > 0 && words.length <= BOOTROM_SIZE / 4) return new Uint32Array(words);
  process.stderr.write(`${file}: neither ${BOOTROM_SIZE} bytes nor at most their words\n`);
  return process.exit(1);
}

const now = () => bornNs + chip.clock.nanos;
const byteNs = () => (BITS * 1e9) / chip.uart[0].baudRate;

const ringOscillator = {
  readUint32(offset) {
    if (offset === ROSC_RANDOMBIT) return crypto.randomInt(2);
    return offset === ROSC_STATUS ? ROSC_IS_STABLE : 0;
  },
  writeUint32Atomic() {},
};

function connectLine(uart) {
  const read = uart.readUint32;
  const full = () => freeAtNs - now() > UART_FIFO * byteNs(); // one byte more is on the line
  uart.readUint32 = (offset) => {
    const value = read.call(uart, offset);
    return offset === UARTFR && full() ? value | UART_TXFF : value;
  };
  uart.onByte = (byte) => {
    if (full()) {
      report.lost += 1;
      return;
    }
    freeAtNs = Math.max(freeAtNs, now()) + byteNs();
    toHost.push([byte, freeAtNs]);
  };
}

// A reset by the watchdog leaves the RAM, the scratch registers and its reason as they were. The
// RAM of the first chip is all zero, so that nothing but the ring oscillator is by chance.
function leaveReset(before) {
  if (before) bornNs += before.clock.nanos;
  chip = new RP2040();
  chip.logger = { debug() {}, info() {}, warn() {}, error: (part, text) => console.error(part, text) };
  chip.loadBootrom(bootrom);
  chip.flash.set(flash);
  chip.peripherals[ROSC] = ringOscillator;
  chip.adc.channelValues = sensors;
  const watchdog = chip.peripherals[WATCHDOG];
  watchdog.onWatchdogTrigger = () => {
    watchdog.alarm.enable = false; // at zero it would strike again and again in the same instant
    watchdogBarked = true;
  };
  if (before) {
    chip.sram.set(before.sram);
    watchdog.scratchData.set(before.peripherals[WATCHDOG].scratchData);
    watchdog.reason = before.peripherals[WATCHDOG].reason;
  }
  connectLine(chip.uart[0]);
  for (const pin of PINS) {
    report.edges.push([now(), pin, chip.gpio[pin].value]);
    chip.gpio[pin].addListener((value) => report.edges.push([now(), pin, value]));
  }
  report.starts.push(now());
  // The boot ROM reads a flash chip through a serial controller that is not emulated. Its last
  // step, the jump into the image, is taken for it; the image calls the rest of it.
  chip.core.PC = FLASH;
}

function feedByte() {
  const uart = chip.uart[0];
  const byte = toChip.shift();
  nextNs = now() + byteNs();
  if (uart.rxFIFO.full) report.lost += 1;
  else uart.feedByte(byte);
}

function live(untilNs) {
  while (now() < untilNs) {
    const { core, clock } = chip;
    if (core.waiting) clock.tick(clock.nanosToNextAlarm);
    else clock.tick((core.executeInstruction() * 1e9) / chip.clkSys);
    if (toChip.length > 0 && now() >= nextNs) feedByte();
    if (watchdogBarked) {
      watchdogBarked = false;
      leaveReset(chip);
    }
  }
}

function obey(order) {
  for (const [address, bytes] of order.flash || []) {
    flash.set(Buffer.from(bytes, 'hex'), address - FLASH);
    chip.flash.set(flash);
  }
  if (order.sensors) chip.adc.channelValues = sensors = order.sensors;
  if (order.line && toChip.length === 0) nextNs = Math.max(nextNs, now() + byteNs());
  toChip.push(...Buffer.from(order.line || '', 'hex'));
  live(now() + order.live_ns);
}

function answer() {
  const arrived = toHost.filter(([, at]) => at <= now()).map(([byte]) => byte);
  toHost.splice(0, arrived.length);
  const line = Buffer.from(arrived).toString('hex');
  const baud = chip.uart[0].baudRate;
  fs.writeSync(1, `${JSON.stringify({ ...report, line, now_ns: Math.round(now()), baud })}\n`);
  report = { edges: [], starts: [], lost: 0 };
}

leaveReset(null);
const chunk = Buffer.alloc(65536);
let text = '';
for (let size = fs.readSync(0, chunk); size > 0; size = fs.readSync(0, chunk)) {
  const orders = (text + chunk.toString('latin1', 0, size)).split('\n');
  text = orders.pop();
  for (const order of orders) {
    obey(JSON.parse(order));
    answer();
  }
}
