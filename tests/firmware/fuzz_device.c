/* The device's state machine under any script: bytes, good and bad frames, time, sensors, and
 * the timer interrupt in the middle of the main loop.
 *
 * Owns: what a script means, and what must hold after each of its words. Built with a fuzzer
 * (-fsanitize=fuzzer) it seeks scripts; built with -DREPLAY it runs the files it is given. What
 * the other end of a session says is proved by its salt or, with -DEB1_KEYED=1, by its key.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../firmware_bridge/device/eb1.c"

static eb1_device device;
static int16_t pins[ENVELOPE_ACTUATORS_ROOM];
static uint32_t kicks;
static uint8_t storm;      /* timer interrupts that come at the next unlock */
static uint8_t storm_after; /* so many unlocks later */
static bool locked;

static void require(bool holds, const char *claim)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", claim);
        abort();
    }
}

/* Moves away from the safe value that the rates have earned, in thousandths of a count. */
static int64_t earned[2][ENVELOPE_ACTUATORS_ROOM];

static int64_t at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* Outputs that the interrupt has made safe in this word of the script. */
static bool taken[ENVELOPE_ACTUATORS_ROOM];

/* One millisecond; the guard lets a second be saved up, and a count of the time before. */
static void pass_ms(void)
{
    int16_t before[ENVELOPE_ACTUATORS_ROOM];
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        before[i] = pins[i];
    }
    eb1_tick_isr(&device);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        taken[i] = taken[i] || pins[i] != before[i];
    }
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const int64_t down = ENVELOPE_MOTIONS[i].rate_down_counts_per_s;
        const int64_t up = ENVELOPE_MOTIONS[i].rate_up_counts_per_s;
        earned[0][i] = at_most(earned[0][i] + down, 1000 * down + 1000);
        earned[1][i] = at_most(earned[1][i] + up, 1000 * up + 1000);
    }
}

void board_write_outputs(const int16_t *counts)
{
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        require(!locked || !taken[i] || counts[i] == ENVELOPE_MOTIONS[i].safe_counts,
                "what the interrupt makes safe while a frame is judged stays safe");
        pins[i] = counts[i];
    }
}

void board_lock(void)
{
    require(!locked, "locks are not nested");
    locked = true;
}

void board_unlock(void)
{
    require(locked, "unlock follows lock");
    locked = false;
    if (storm_after > 0) {
        storm_after--;
        return;
    }
    for (; storm > 0; storm--) {
        pass_ms();
    }
}

void board_kick_watchdog(void)
{
    kicks++;
}

/* ---- the script ------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *bytes;
    size_t left;
} script;

static uint8_t next(script *from)
{
    if (from->left == 0) {
        return 0;
    }
    from->left--;
    return *from->bytes++;
}

static uint16_t next16(script *from)
{
    const uint8_t low = next(from);
    return (uint16_t)(low | next(from) << 8);
}

static void give(const uint8_t *wire, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        eb1_receive(&device, wire[k]);
    }
}

static uint16_t host_seq;

static void open_frame(eb1_writer *writer, uint8_t *wire, uint8_t kind, script *from,
                       uint16_t count)
{
    const uint8_t age = next(from);
    host_seq = (uint16_t)(host_seq + 1 - (age >> 6)); /* also repeated and overtaken ones */
    eb1_begin(writer, wire, kind);
    eb1_head(writer, host_seq, (uint16_t)(device.shared.token - (age & 7) + (age >> 5 & 1)),
             count);
}

/* The frame as the other end of the session proves it. */
static size_t end_frame(eb1_writer *writer, uint8_t kind)
{
#if EB1_KEYED
    eb1_session host = device.session;
    host.sent = number_of(&host, host_seq);
    (void)kind;
    return eb1_end(writer, &host);
#else
    return eb1_end(writer, (kind & EB1_UNSALTED) != 0 ? 0 : device.session.salt);
#endif
}

/* Kinds with the values that a right host would put in, or with others. */
static void say(script *from)
{
    static const uint8_t KINDS[] = {SET, SET, SET, ARM, DISARM, IDENT, HELLO_ACK, 0x3f};
    const uint8_t choice = next(from);
    const uint8_t kind = KINDS[choice & 7];
    const bool right = (choice & 0xf0) != 0xf0;
    uint16_t count = 0;
    uint8_t wire[EB1_WIRE_MAX];
    eb1_writer writer;
    if (kind == SET) {
        count = ENVELOPE_ACTUATORS;
    } else if (kind == ARM) {
        count = 2;
    } else if (kind == HELLO_ACK) {
        count = HELLO_ACK_FIELDS;
    } else if (kind == IDENT) {
        count = 1;
    }
    count = (uint16_t)(count + (right ? 0 : (choice >> 3 & 1)));
    open_frame(&writer, wire, kind, from, count);
    for (int k = 0; k < count; k++) {
        int32_t value;
#if EB1_KEYED
        if (right && kind == HELLO_ACK && k == 2) {
            eb1_put_unsigned(&writer, device.sessions);
            continue;
        }
#endif
        value = (int16_t)next16(from);
        if (!right) {
            eb1_put_signed(&writer, value * 3);
        } else if (kind == ARM) {
            eb1_put_unsigned(&writer, k == 0 ? device.host_nonce : device.shared.safe_count);
        } else if (kind == HELLO_ACK) {
            eb1_put_unsigned(&writer, k == 0 ? device.boot_nonce : (uint32_t)(value & 3));
        } else {
            eb1_put_signed(&writer, kind == SET ? value : value & 0x7fff);
        }
    }
    give(wire, end_frame(&writer, kind));
}

/* An intact frame around any body. */
static void seal(script *from)
{
    uint8_t wire[EB1_WIRE_MAX];
    eb1_writer writer;
    const unsigned size = next(from) % (EB1_RAW_MAX - 5u - EB1_CHECK_SIZE);
    const uint8_t kind = next(from) & (EB1_UNSALTED | 0x13);
    open_frame(&writer, wire, kind, from, 0);
    writer.at--; /* over the head of the empty array */
    for (unsigned k = 0; k < size; k++) {
        wire[writer.at] = next(from);
        writer.at++;
    }
    give(wire, end_frame(&writer, kind));
}

static void hear(uint8_t less)
{
    eb1_session session;
    uint8_t wire[EB1_WIRE_MAX];
    eb1_frame frame;
    const size_t room = less == 0 ? EB1_TRANSMIT_MAX - 1 : EB1_TRANSMIT_MAX;
    const size_t size = eb1_transmit(&device, wire, room);
    session = device.session;
    session.open = true;
    session.expect = EB1_FROM_DEVICE;
#if EB1_KEYED
    session.heard = session.sent;
#endif
    require(size <= room, "a frame fits where it was asked to");
    if (size > 0) {
        require(wire[0] == 0 && wire[size - 1] == 0, "delimiters at both ends");
        require(eb1_decode(wire + 1, size - 2, &session, &frame) == EB1_GOOD,
                "what the device sends can be read");
    }
}

static void pass_time(script *from, uint8_t how)
{
    for (unsigned ms = 1u + next(from); ms > 0; ms--) {
        pass_ms();
        if ((how & 8) == 0) {
            eb1_main_progress(&device);
        }
    }
}

/* ---- what must hold ------------------------------------------------------------------------- */

/* What an exclusion or an interlock demands is there at once. */
static bool is_demanded(int i, int32_t counts)
{
    bool demanded = counts == ENVELOPE_MOTIONS[i].min_counts;
    for (int f = 0; f < ENVELOPE_FORCES; f++) {
        demanded = demanded ||
                   (ENVELOPE_FORCED[f].actuator == i && ENVELOPE_FORCED[f].counts == counts);
    }
    return demanded;
}

static void check_speed(int i, int32_t before)
{
    const int32_t safe = ENVELOPE_MOTIONS[i].safe_counts;
    const int32_t high = before < safe ? safe : before;
    const int32_t low = before < safe ? before : safe;
    if (!is_demanded(i, pins[i])) {
        earned[1][i] -= pins[i] > high ? 1000 * (pins[i] - high) : 0;
        earned[0][i] -= pins[i] < low ? 1000 * (low - pins[i]) : 0;
        require(earned[0][i] >= 0 && earned[1][i] >= 0, "no output leaves safe above its rate");
    }
}

static void check(const int16_t *before, const eb1_shared *was, bool heard)
{
    const eb1_shared *const shared = &device.shared;
    require(shared->state != EB1_ARMED ||
                (was->state != EB1_SAFE && was->safe_count == shared->safe_count),
            "SAFE is latched until an ARM");
    require(shared->state != EB1_ARMED || device.arming_count == EB1_ARMING_TOKENS - 1,
            "armed means that enough fresh tokens came");
    require(!locked, "every lock is undone");
    require(shared->state == EB1_SAFE || shared->unfed_ms < EB1_DEADMAN_MS, "the dead man acts");
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        const bool safe = pins[i] == ENVELOPE_MOTIONS[i].safe_counts;
        require(pins[i] == shared->outputs[i], "the pins are what the device says");
        require(ENVELOPE_MOTIONS[i].min_counts <= pins[i] &&
                    pins[i] <= ENVELOPE_MOTIONS[i].max_counts, "every output is in its range");
        require(safe || shared->state == EB1_ARMED, "only an armed device is not safe");
        require(safe || shared->unfed_ms < EB1_LEASES_MS[i], "no lease is overdrawn");
        check_speed(i, before[i]);
        require(safe || heard || pins[i] == before[i], "without a frame outputs only become safe");
    }
}

static void run_word(script *from)
{
    int16_t before[ENVELOPE_ACTUATORS_ROOM];
    const eb1_shared was = device.shared;
    const uint8_t word = next(from);
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) {
        before[i] = pins[i];
        taken[i] = false;
    }
    switch (word & 7) {
    case 0:
        pass_time(from, word);
        break;
    case 1:
        for (unsigned n = word >> 3; n > 0; n--) {
            eb1_receive(&device, next(from));
        }
        break;
    case 2:
        if (ENVELOPE_SENSORS > 0) {
            const uint32_t low = next16(from);
            eb1_set_sensor(&device, (word >> 3) % ENVELOPE_ROOM(ENVELOPE_SENSORS),
                           (int32_t)(low | (uint32_t)next16(from) << 16));
        }
        break;
    case 3:
        hear(word >> 3);
        break;
    case 4:
        storm = next(from);
        storm_after = word >> 3 & 7;
        break;
    case 5:
        for (unsigned n = 8u * (word >> 3); n > 0; n--) { /* a frame that never ends */
            eb1_receive(&device, 0x55);
        }
        eb1_overrun(&device);
        break;
    case 6:
        say(from);
        break;
    default:
        seal(from);
    }
    check(before, &was, (word & 7) == 1 || (word & 7) >= 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    script from = {bytes, size};
    storm = 0;
    storm_after = 0;
    host_seq = 0;
    for (int i = 0; i < ENVELOPE_ACTUATORS; i++) { /* what may come early, and a count */
        earned[0][i] = EB1_EARLY_MS * (int64_t)ENVELOPE_MOTIONS[i].rate_down_counts_per_s + 1000;
        earned[1][i] = EB1_EARLY_MS * (int64_t)ENVELOPE_MOTIONS[i].rate_up_counts_per_s + 1000;
    }
    for (size_t k = 0; k < sizeof device; k++) {
        ((uint8_t *)&device)[k] = 0xff;
    }
    eb1_boot(&device, 7, EB1_RESET_POWER_ON);
    require(device.shared.now_ms == 0, "time begins with a boot");
    give((const uint8_t *)"", 1); /* the delimiter that ends what came before the boot */
    while (from.left > 0) {
        run_word(&from);
    }
    return 0;
}

#ifdef REPLAY
#if !EB1_KEYED
/* One message has one encoding: what was read is written as it was. */
static void check_written(const uint8_t *piece, size_t size, eb1_frame *frame, uint32_t salt)
{
    uint8_t wire[EB1_OVERHEAD + 5 * EB1_RAW_MAX];
    eb1_writer writer;
    eb1_int value;
    eb1_begin(&writer, wire, frame->kind);
    eb1_head(&writer, frame->seq, frame->token, frame->count);
    while (eb1_next(frame, &value)) {
        if (value.negative) {
            eb1_put_signed(&writer, -(int32_t)~value.bits - 1);
        } else {
            eb1_put_unsigned(&writer, value.bits);
        }
    }
    require(eb1_end(&writer, (frame->kind & EB1_UNSALTED) != 0 ? 0 : salt) == size + 2,
            "a frame has one length");
    for (size_t k = 0; k < size; k++) {
        require(wire[k + 1] == piece[k], "a message has one encoding");
    }
}

/* Pieces from standard input, each behind its size and the direction of its sender; the number
 * of the first failed check of each, with `salt`. */
static void judge_pieces(uint32_t salt)
{
    uint8_t head[2];
    while (fread(head, 1, 2, stdin) == 2) {
        const eb1_session session = {salt, true, head[1]};
        uint8_t piece[256];
        uint8_t raw[256];
        eb1_frame frame;
        uint8_t cause;
        require(fread(piece, 1, head[0], stdin) == head[0], "every piece is whole");
        for (size_t k = 0; k < head[0]; k++) {
            raw[k] = piece[k];
        }
        cause = eb1_decode(raw, head[0], &session, &frame);
        if (cause == EB1_GOOD) {
            check_written(piece, head[0], &frame, salt);
        }
        printf("%d\n", cause);
    }
}

#endif

/* replay SALT < PIECES (without a key), or replay SCRIPT... */
int main(int count, char **words)
{
    static uint8_t bytes[1 << 16];
#if !EB1_KEYED
    if (count == 2 && words[1][0] >= '0' && words[1][0] <= '9') {
        judge_pieces((uint32_t)strtoul(words[1], NULL, 10));
        return 0;
    }
#endif
    for (int k = 1; k < count; k++) {
        FILE *file = fopen(words[k], "rb");
        require(file != NULL, "every file can be read");
        LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof bytes, file));
        fclose(file);
    }
    printf("%d scripts\n", count - 1);
    return 0;
}
#endif
