/* Driver of a wrapped core: load an image, send events, run ticks, receive events.

   The core lies at an address of the bus, as its header NAME.h says:

       struct spikeloop core = NAME_DEVICE(0x43c00000);

   No call but spikeloop_load and spikeloop_next waits, and spikeloop_next waits for the end of a
   tick at most. Not for two threads at once. */
#ifndef SPIKELOOP_H
#define SPIKELOOP_H

#include <stdint.h>

/* Offsets of the registers that are the same on every chip, in bytes. */
@registers@

/* Register control */
#define SPIKELOOP_CONTROL_TICK @tick@u
#define SPIKELOOP_CONTROL_CLEAR @clear@u
#define SPIKELOOP_CONTROL_ZERO @zero@u

/* Register event: no event */
#define SPIKELOOP_NONE 0x80000000u

struct spikeloop {
    uintptr_t base;       /* of its registers and memories */
    uint32_t fingerprint; /* of the chip's parameters */
    uint32_t event;       /* offsets of the wrapper's registers */
    uint32_t collect;
    unsigned delay_shift; /* of an event in */
};

/* Words that follow one another on the bus. */
struct spikeloop_segment {
    uint32_t offset;
    uint32_t count;
    uint32_t first; /* in the words of the image */
    int readable;
};

/* An input group. An event of its line i in step s: axon first_axon + i, sent with delay 1 before
   tick s + delay. */
struct spikeloop_input {
    const char *name;
    uint32_t first_axon, size, delay;
};

/* What spikeloop export --format c writes. */
struct spikeloop_image {
    uint32_t fingerprint;
    uint32_t segments;
    const struct spikeloop_segment *segment;
    const uint32_t *words;
    uint32_t inputs;
    const struct spikeloop_input *input;
    uint32_t steps, ticks; /* of a sample */
    uint32_t output_size;  /* neurons of the output; neuron i sends events of address i */
    uint32_t output_start; /* tick of its first step */
};

enum spikeloop_error {
    SPIKELOOP_OK = 0,
    SPIKELOOP_NO_CORE = -1,     /* no core answers at this address */
    SPIKELOOP_WRONG_CHIP = -2,  /* the core has other parameters than the header */
    SPIKELOOP_WRONG_IMAGE = -3, /* the image is for a chip of other parameters */
    SPIKELOOP_DAMAGED = -4      /* a word reads back as another */
};

/* With SPIKELOOP_EXTERN_IO these two are yours; else they access memory. */
uint32_t spikeloop_read(const struct spikeloop *core, uint32_t offset);
void spikeloop_write(const struct spikeloop *core, uint32_t offset, uint32_t value);

/* Load an image and read it back, then clear all state. Events will come to spikeloop_next. */
enum spikeloop_error spikeloop_load(const struct spikeloop *core,
                                    const struct spikeloop_image *image);

/* Begin a sample: set the state to its initial values and forget all events. */
void spikeloop_clear(const struct spikeloop *core);

/* Set an axon. delay 1: in the tick that runs next. Between ticks only. */
void spikeloop_send(const struct spikeloop *core, uint32_t axon, uint32_t delay);

/* Begin a tick. */
void spikeloop_tick(const struct spikeloop *core);

/* The next event of the tick: 1 and the event, or 0 when the tick has ended and all were given.
   The low 16 bits of an event are the number of the output neuron. Call it until it gives 0. */
int spikeloop_next(const struct spikeloop *core, uint32_t *event);

/* Whether a tick or a clear is under way. */
int spikeloop_busy(const struct spikeloop *core);

/* A counter: SPIKELOOP_CYCLES, SPIKELOOP_SOPS and so on. Between ticks only. */
uint64_t spikeloop_counter(const struct spikeloop *core, uint32_t offset);

#endif
