// SPDX-License-Identifier: GPL-2.0
#include "model.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace cloopw::crash {
namespace {

template <typename T>
void put(FILE *file, const std::vector<T> &items) {
    const u64 count = items.size();
    if (fwrite(&count, sizeof(count), 1, file) != 1 ||
        fwrite(items.data(), sizeof(T), count, file) != count) {
        throw std::runtime_error("cannot write the model");
    }
}

template <typename T>
std::vector<T> get(FILE *file) {
    u64 count;
    if (fread(&count, sizeof(count), 1, file) != 1) {
        throw std::runtime_error("cannot read the model");
    }
    std::vector<T> items(count);
    if (fread(items.data(), sizeof(T), count, file) != count) {
        throw std::runtime_error("cannot read the model");
    }
    return items;
}

}  // namespace

Model::Model(const Bytes *below, Bytes now)
    : below_(below),
      now_(std::move(now)),
      states_(cw_div_up(now_.size(), CW_PAGE_SIZE)),
      unknown_(states_.size()),
      unknown_below_(states_.size()) {
    for (u64 page = 0; page < pages(); page++) {
        states_[page].push_back({XXH3_64bits(this->now(page), page_len(page)), 0, 0});
    }
}

void Model::put_layer_over() {
    frozen_ = std::make_unique<Bytes>(now_);
    /* Discards take whole pages. */
    frozen_->resize(pages() * CW_PAGE_SIZE);
    below_ = frozen_.get();
    unknown_below_ = unknown_;
}

u64 Model::page_len(u64 page) const {
    return std::min<u64>(CW_PAGE_SIZE, now_.size() - page * CW_PAGE_SIZE);
}

void Model::begin(u64 page, const u8 *content, u32 start) {
    const u64 len = page_len(page);
    memcpy(now_.data() + page * CW_PAGE_SIZE, content, len);
    states_[page].push_back({XXH3_64bits(content, len), start});
}

bool Model::resolve(u64 page, const u8 *content) {
    const u64 len = page_len(page);
    const u64 hash = XXH3_64bits(content, len);
    const std::vector<State> &states = states_[page];
    memcpy(now_.data() + page * CW_PAGE_SIZE, content, len);
    unknown_[page] = 0;
    if (states.back().hash == hash) {
        return true;
    }
    /* An earlier state: another failed call, or the last successful one. */
    for (size_t i = states.size() - 1; i-- > 0;) {
        if (states[i].hash == hash) {
            return true;
        }
        if (states[i].done != kNever) {
            return false;
        }
    }
    return false;
}

void Model::adopt(u64 page, const u8 *content, u32 place) {
    const u64 len = page_len(page);
    const u64 hash = XXH3_64bits(content, len);
    memcpy(now_.data() + page * CW_PAGE_SIZE, content, len);
    unknown_[page] = 0;
    if (states_[page].back().hash != hash || states_[page].back().done == kNever) {
        states_[page].push_back({hash, place, place});
    }
}

void Model::add_flushes(const std::vector<FlushCall> &calls) {
    flushes_.insert(flushes_.end(), calls.begin(), calls.end());
}

std::string Model::judge_size(u64 size, u32 cut) const {
    u64 least = 0;
    u64 most = 0;
    for (const Growth &growth : growths_) {
        least = growth.done <= cut ? std::max(least, growth.size) : least;
        most = growth.start <= cut ? std::max(most, growth.size) : most;
    }
    return least <= size && size <= most
               ? ""
               : "the device has " + std::to_string(size) + " bytes, and not " +
                     std::to_string(least) + " to " + std::to_string(most);
}

u32 Model::flushed(u32 cut) const {
    u32 last = 0;
    for (const FlushCall &call : flushes_) {
        if (call.done <= cut) {
            last = std::max(last, call.start);
        }
    }
    return last;
}

std::string Model::judge(u64 page, const u8 *content, u32 cut, u32 flushed) const {
    const u64 hash = XXH3_64bits(content, page_len(page));
    const std::vector<State> &states = states_[page];
    for (size_t i = states.size(); i-- > 0;) {
        const bool durable = states[i].done <= flushed;
        if (states[i].hash == hash && states[i].start <= cut) {
            return "";
        }
        if (!durable) {
            continue;
        }
        for (size_t old = 0; old < i; old++) {
            if (states[old].hash == hash) {
                return "is of version " + std::to_string(old) + ", but version " +
                       std::to_string(i) + " had been flushed";
            }
        }
        break;
    }
    for (size_t i = 0; i < states.size(); i++) {
        if (states[i].hash == hash) {
            return "is of version " + std::to_string(i) + ", which had not been begun";
        }
    }
    return "is of no version it ever had";
}

Model::Sides Model::sides_of(u64 page, const u8 *content, const ResetCall &call, u32 cut,
                             u32 flushed) const {
    const u64 hash = XXH3_64bits(content, page_len(page));
    const std::vector<State> &states = states_[page];
    Sides sides = {false, false};
    size_t i = states.size();
    while (i != 0 && states[i - 1].start > call.start) {
        if (states[--i].start <= cut) {
            return {true, true}; /* it was changed since */
        }
    }
    if (i == 0 || states[i - 1].start != call.start) {
        return {true, true}; /* the device did not have the page yet */
    }
    sides.after = states[--i].hash == hash;
    while (i-- > 0 && !sides.before) {
        sides.before = states[i].hash == hash;
        if (states[i].done <= flushed) {
            break;
        }
    }
    return sides;
}

std::string Model::judge_resets(const Bytes &all, u32 cut, u32 flushed) const {
    for (const ResetCall &call : resets_) {
        u64 old = pages();
        u64 fresh = pages();
        for (u64 page = 0; page < pages() && call.start <= cut && cut < call.done; page++) {
            const Sides sides =
                sides_of(page, all.data() + page * CW_PAGE_SIZE, call, cut, flushed);
            old = sides.before && !sides.after ? page : old;
            fresh = sides.after && !sides.before ? page : fresh;
        }
        if (old != pages() && fresh != pages()) {
            return "page " + std::to_string(old) + " is of before a reset, and page " +
                   std::to_string(fresh) + " is not";
        }
    }
    return "";
}

void Model::save(FILE *file) const {
    put(file, now_);
    put(file, flushes_);
    put(file, growths_);
    put(file, resets_);
    for (const std::vector<State> &states : states_) {
        put(file, states);
    }
}

Model Model::load(FILE *file, const Bytes *below) {
    Model model(below, get<u8>(file));
    model.flushes_ = get<FlushCall>(file);
    model.growths_ = get<Growth>(file);
    model.resets_ = get<ResetCall>(file);
    for (std::vector<State> &states : model.states_) {
        states = get<State>(file);
    }
    return model;
}

}  // namespace cloopw::crash
