// What the model knows about a configuration and a descriptor; sim/cycles/parameters.py fills these in, field by field.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

using Cycle = int32_t;  // of one program, from its start on

constexpr Cycle NEVER = INT32_MAX / 2;
constexpr Cycle LONG_AGO = -NEVER;

enum Kind { END = 0, CONV = 1, MAP = 2, WAIT = 3 };
enum Output { INT16 = 0, RAW = 1, WEIGHTS = 2 };

// Sizes of the configuration and latencies of its parts, cycles; see parameters.py.
struct Machine {
    int32_t dense_arrays, sparse_arrays, slots, psum_depth;
    int32_t lanes, post_lanes, row_words, chunk_words, word_pixels, statistics_words, table_entries;
    int32_t memory;          // from a read request to its answer, from a write to its response
    int32_t lone_burst;      // from a request at the memory port to its address channel
    int32_t answer;          // from an answer of the memory to the client
    int32_t longest_burst, page_words, outstanding;
    int32_t command;         // from a load command to its first request
    int32_t normaliser, turn_rows, turn_queue;
    int32_t setup, descriptor_words;
    int32_t dense_feeder, sparse_feeder, psum;
    int32_t post, post_queue, turn, residual, statistics;
    int32_t sort_keys, sort_pass;
    int32_t map_start, images_ahead, reset, residual_places;
};

// One descriptor. Sizes in memory words where they are words; strides and bases in memory words, those of activations
// in granules.
struct Layer {
    int32_t kind, prefetch, scan, update;
    int32_t taps, int16_acts, planes, wide, halo_top, halo_bottom, image_weights, output, residual, statistics;
    int32_t channels, out_channels, height, width, images, buffer_images;
    int32_t tiles, tile_words, param_words, constant_words, new_constants, table_words;
    int32_t residual_words;
    int32_t weight_base, weight_stride, weight_image_stride;
    int32_t out_words;       // MAP: memory words of an output plane
    int32_t steps;           // MAP: steps of an output word
};

// What a run of a CONV depends on beside its descriptor; the plane HIGH first.
struct Data {
    const uint8_t* nonzeros;      // (planes, images, channels, rows, width), 0 or 1
    const int32_t* order;         // (planes, channels)
    const int32_t* dense;         // (planes): dense channels
    const int32_t* scan_dense;    // (planes): those of the tables that a scan finds in memory
    const int32_t* sorted_dense;  // (planes): those that its scan or update finds; null: irrelevant
};

constexpr int COUNTERS = 10;
enum Counter {
    CYCLES, BUSY_DENSE, BUSY_SPARSE, ACTIVE,
    STALL_DETECT, STALL_WEIGHTS, STALL_ACTS, STALL_OUTPUT, STALL_MAP, STALL_OTHER
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }
