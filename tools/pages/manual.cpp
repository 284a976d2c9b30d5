// SPDX-License-Identifier: GPL-2.0
#include "manual.h"

#include <fmt/format.h>

#include <cctype>
#include <set>
#include <sstream>

#include "lib/error.h"

namespace cloopw {
namespace {

constexpr const char *kOthers = "others";

/* Runs of letters in scdoc's marks: "[=SIZE]" -> "[=_SIZE_]", "[=on|off]" -> "[=*on*|*off*]" */
std::string marked(const std::string &argument) {
    std::string text;
    char open = 0;
    for (const char c : argument) {
        const unsigned char letter = static_cast<unsigned char>(c);
        const char mark = isupper(letter) != 0 ? '_' : islower(letter) != 0 ? '*' : char{0};
        if (mark != open) {
            text.append(open != 0 ? 1 : 0, open).append(mark != 0 ? 1 : 0, mark);
            open = mark;
        }
        text += c;
    }
    return text.append(open != 0 ? 1 : 0, open);
}

std::string bold(const std::string &word) { return "*" + word + "*"; }

/* "*-c*, *--codec* _NAME_" */
std::string head_of(const Option &option) {
    std::string text;
    for (const std::string &name : names_of(option)) {
        text.append(text.empty() ? "" : ", ").append(bold(name));
    }
    const bool apart = !option.argument.empty() && !option.argument.starts_with('[') &&
                       !option.names.ends_with('=');
    return text + (apart ? " " : "") + marked(option.argument);
}

/* "*raw*, *cloop2* or *cloopw*" */
std::string words_of(const Option &option) {
    const Names &words = option.values.words;
    std::string text;
    for (size_t i = 0; i < words.size(); i++) {
        const char *between = i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
        text.append(between).append(bold(words[i]));
    }
    return text;
}

/* "zlib 1..12 (6), lz4 1" */
std::string levels() {
    Names texts;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        const cw_codec &codec = *cw_codecs[i];
        if (codec.min_level != codec.max_level) {
            texts.push_back(fmt::format("{} {}..{} ({})", codec.name, codec.min_level,
                                        codec.max_level, codec.default_level));
        } else if (codec.max_level != 0) {
            texts.push_back(fmt::format("{} {}", codec.name, codec.max_level));
        }
    }
    return joined(texts);
}

const Option &option_named(const OptionTable &table, const std::string &name) {
    for (const Option *option : table.all()) {
        if (names_of(*option).back() == name) {
            return *option;
        }
    }
    throw Error(table.tool + ": its manual names " + name + ", which is no option");
}

/* "@--codec" or "@image=", alone on a line */
bool is_head(const std::string &line) {
    return line.starts_with('@') && line.find('@', 1) == std::string::npos;
}

/* "*device*, *queues*": the options that have no head in the draft */
std::string others(const OptionTable &table, const std::string &draft) {
    Names names;
    for (const Option *option : table.all()) {
        std::string name = names_of(*option).back();
        if (draft.find("\n@" + name + "\n") == std::string::npos) {
            names.push_back(bold(name.substr(0, name.find('='))));
        }
    }
    return joined(names);
}

/* The line with what stands between its @ signs replaced. */
std::string filled(const OptionTable &table, const std::string &draft, const std::string &line) {
    std::string text;
    std::istringstream in(line);
    bool name = false;
    for (std::string part; std::getline(in, part, '@'); name = !name) {
        text += !name              ? part
                : part == "levels" ? levels()
                : part == kOthers  ? others(table, draft)
                                   : words_of(option_named(table, part));
    }
    return text;
}

}  // namespace

std::string manual_page(const OptionTable &table, const std::string &draft) {
    std::set<std::string> missing;
    for (const Option *option : table.all()) {
        missing.insert(names_of(*option).back());
    }
    std::string page;
    std::istringstream in(draft);
    for (std::string line; std::getline(in, line); page += "\n") {
        if (is_head(line)) {
            const Option &option = option_named(table, line.substr(1));
            if (missing.erase(names_of(option).back()) == 0) {
                throw Error(table.tool + ": its manual explains " + line.substr(1) + " twice");
            }
            page += head_of(option);
        } else {
            page += filled(table, draft, line);
        }
    }
    const bool lists_others = draft.find(std::string("@") + kOthers + "@") != std::string::npos;
    if (!missing.empty() && !lists_others) {
        throw Error(table.tool + ": its manual does not explain " +
                    joined({missing.begin(), missing.end()}));
    }
    return page;
}

}  // namespace cloopw
