#include "spikeloop.h"

#ifndef SPIKELOOP_EXTERN_IO
uint32_t spikeloop_read(const struct spikeloop *core, uint32_t offset)
{
    return *(volatile uint32_t *)(core->base + offset);
}

void spikeloop_write(const struct spikeloop *core, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(core->base + offset) = value;
}
#endif

static enum spikeloop_error check(const struct spikeloop *core, const struct spikeloop_image *image)
{
    if (spikeloop_read(core, SPIKELOOP_ID) != SPIKELOOP_ID_VALUE)
        return SPIKELOOP_NO_CORE;
    if (spikeloop_read(core, SPIKELOOP_FINGERPRINT) != core->fingerprint)
        return SPIKELOOP_WRONG_CHIP;
    return image->fingerprint == core->fingerprint ? SPIKELOOP_OK : SPIKELOOP_WRONG_IMAGE;
}

enum spikeloop_error spikeloop_load(const struct spikeloop *core,
                                    const struct spikeloop_image *image)
{
    enum spikeloop_error error = check(core, image);
    uint32_t s, w;

    if (error)
        return error;
    for (s = 0; s < image->segments; s++) {
        const struct spikeloop_segment *segment = &image->segment[s];
        const uint32_t *words = image->words + segment->first;

        for (w = 0; w < segment->count; w++)
            spikeloop_write(core, segment->offset + 4 * w, words[w]);
        for (w = 0; w < segment->count && segment->readable; w++)
            if (spikeloop_read(core, segment->offset + 4 * w) != words[w])
                return SPIKELOOP_DAMAGED;
    }
    spikeloop_write(core, core->collect, 1);
    spikeloop_clear(core);
    return SPIKELOOP_OK;
}

void spikeloop_clear(const struct spikeloop *core)
{
    uint32_t event;

    while (spikeloop_next(core, &event))
        ;
    spikeloop_write(core, SPIKELOOP_CONTROL, SPIKELOOP_CONTROL_CLEAR);
    while (spikeloop_busy(core))
        ;
}

void spikeloop_send(const struct spikeloop *core, uint32_t axon, uint32_t delay)
{
    spikeloop_write(core, core->event, axon | delay << core->delay_shift);
}

void spikeloop_tick(const struct spikeloop *core)
{
    spikeloop_write(core, SPIKELOOP_CONTROL, SPIKELOOP_CONTROL_TICK);
}

int spikeloop_next(const struct spikeloop *core, uint32_t *event)
{
    int done = 0;

    for (;;) {
        *event = spikeloop_read(core, core->event);
        if (!(*event & SPIKELOOP_NONE))
            return 1;
        if (done)
            return 0;
        done = !spikeloop_busy(core); /* its last events may have come since the read */
    }
}

int spikeloop_busy(const struct spikeloop *core)
{
    return (int)(spikeloop_read(core, SPIKELOOP_STATUS) & 1u);
}

uint64_t spikeloop_counter(const struct spikeloop *core, uint32_t offset)
{
    return spikeloop_read(core, offset) | (uint64_t)spikeloop_read(core, offset + 4) << 32;
}
