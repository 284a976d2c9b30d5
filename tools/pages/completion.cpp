// SPDX-License-Identifier: GPL-2.0
#include "completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace cloopw {
namespace {

using Kind = Values::Kind;

bool argument_is_optional(const Option &option) { return option.argument.starts_with('['); }

/* ---- bash ---- */

constexpr const char *kBash = R"(# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion for {tool}, made of its options

_{tool}() {{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}

	COMPREPLY=()
	# bash makes three words of --option=value
	if [[ $cur == = ]]; then
		cur=
		prev+='='
	elif [[ $prev == = ]]; then
		prev=${{COMP_WORDS[COMP_CWORD - 2]}}=
	fi
	case $prev in
{cases}	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '{options}' -- "$cur")
		return
	fi
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}}
complete -F _{tool} {tool}
)";

/* The devices that there are, and other files. */
constexpr const char *kBashDevices = R"sh(		mapfile -t COMPREPLY < <(compgen -W "$(
			for device in /dev/cloopw[0-9]*; do
				[[ ! -b $device ]] || echo "$device"
			done
		)" -- "$cur")
)sh";

/* The lines that answer for the value of an option; "": those for a name do. */
std::string bash_reply(const Option &option) {
    const std::string words = joined(option.values.words, " ");
    switch (option.values.kind) {
        case Kind::kFile:
            return "";
        case Kind::kDirectory:
            return "\t\tcompopt -o filenames 2>/dev/null\n"
                   "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n";
        case Kind::kOneOf:
        case Kind::kSuggest:
            return "\t\tmapfile -t COMPREPLY < <(compgen -W '" + words + "' -- \"$cur\")\n";
        case Kind::kList:
            return "\t\tmapfile -t COMPREPLY < <(compgen -P \"${cur%\"${cur##*,}\"}\" -W '" +
                   words + "' -- \"${cur##*,}\")\n";
        case Kind::kDevices:
            return kBashDevices;
        case Kind::kFree:
            break;
    }
    return option.argument.empty() ? "" : "\t\t:\n"; /* nothing to offer */
}

/* "-c | --codec | --codec=", or only the last where the argument may be left away */
std::string bash_pattern(const Option &option) {
    Names names = names_of(option);
    std::string assigned = names.back() + "=";
    if (argument_is_optional(option)) {
        return assigned;
    }
    if (!option.argument.empty()) {
        names.push_back(assigned);
    }
    return joined(names, " | ");
}

std::string bash_cases(const OptionTable &table) {
    std::string text;
    for (const Option *option : table.all()) {
        const std::string reply = bash_reply(*option);
        if (!reply.empty()) {
            text += "\t" + bash_pattern(*option) + ")\n" + reply + "\t\treturn ;;\n";
        }
    }
    return text;
}

/* ---- zsh ---- */

std::string zsh_quoted(const std::string &text) {
    std::string quoted;
    for (const char c : text) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted.append(c == '[' || c == ']' || c == '\\' ? "\\" : "").push_back(c);
        }
    }
    return quoted;
}

/* "--cow-codec" -> "cow codec" */
std::string spoken(std::string name) {
    name.erase(0, name.find_first_not_of('-'));
    std::replace(name.begin(), name.end(), '-', ' ');
    return name;
}

/* The help, without a list of words. */
std::string zsh_explanation(const Option &option) {
    const size_t place = option.help.find("{}");
    if (place == std::string::npos) {
        return zsh_quoted(option.help);
    }
    std::string help = option.help.substr(0, place);
    help.erase(help.find_last_not_of(": ") + 1);
    const std::string name = spoken(names_of(option).back());
    const bool goes_on = help.empty() || help.starts_with("of ");
    return zsh_quoted(goes_on ? name + (help.empty() ? "" : " ") + help : help);
}

/* The kind of the argument: "[=SECS[,N]]" -> "secs" */
std::string zsh_noun(const Option &option) {
    std::string noun = option.values.noun;
    if (!noun.empty()) {
        return noun;
    }
    for (const char c : option.argument) {
        if (isalpha(static_cast<unsigned char>(c)) != 0) {
            noun += static_cast<char>(tolower(static_cast<unsigned char>(c)));
        } else if (!noun.empty()) {
            break;
        }
    }
    return noun;
}

std::string zsh_values(const Option &option) {
    const std::string words = joined(option.values.words, " ");
    if (option.argument.empty()) {
        return "";
    }
    std::string head = (argument_is_optional(option) ? "::" : ":") + zsh_noun(option) + ":";
    switch (option.values.kind) {
        case Kind::kFile:
            return head + "_files";
        case Kind::kDirectory:
            return head + "_files -/";
        case Kind::kOneOf:
        case Kind::kSuggest:
            return head + "(" + words + ")";
        case Kind::kList:
            return head + "_values -s , " + option.values.noun + " " + words;
        case Kind::kDevices:
        case Kind::kFree:
            break;
    }
    return head;
}

/* One of _arguments' specifications. */
std::string zsh_line(const Option &option) {
    const Names names = names_of(option);
    const bool ends = names.back() == "--help" || names.back() == "--version";
    const std::string rest = "'[" + zsh_explanation(option) + "]" + zsh_values(option) + "'";
    const std::string before = option.again        ? "*"
                               : ends              ? "(- *)"
                               : names.size() == 1 ? ""
                                                   : "(" + joined(names, " ") + ")";
    const char *assigned = argument_is_optional(option) ? "=-" : "";
    if (names.size() == 1) {
        return "'" + before + names.front() + assigned + rest.substr(1);
    }
    return (before.empty() ? "" : "'" + before + "'") + "{" + joined(names, ",") + "}" + rest;
}

}  // namespace

std::string bash_completion(const OptionTable &table) {
    Names options;
    for (const Option *option : table.all()) {
        const Names names = names_of(*option);
        options.insert(options.end(), names.begin(), names.end());
    }
    return fmt::format(kBash, fmt::arg("tool", table.tool), fmt::arg("cases", bash_cases(table)),
                       fmt::arg("options", joined(options, " ")));
}

std::string zsh_completion(const OptionTable &table) {
    std::string text = "#compdef " + table.tool +
                       "\n# SPDX-License-Identifier: GPL-2.0\n# Made of the tool's options\n\n"
                       "_arguments -s -S \\\n";
    for (const Option *option : table.all()) {
        text += "\t" + zsh_line(*option) + " \\\n";
    }
    return text + "\t'*:file:_files'\n";
}

}  // namespace cloopw
