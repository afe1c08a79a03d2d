//! Code as shops hold it: classes, scripts, style sheets and templates with made-up names.

use std::fmt::Write;

use super::Choices;
use super::text::Language;

/// What stands at the head of every file of a package.
const HEAD: &str = "/**\n * Copyright (c) the people of the demo shop. See LICENSE for what you may do with this file.\n * Do not edit it: changes are lost when the package is updated.\n */\n";

/// A kind of source file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Ending of its name.
    pub(super) ending: &'static str,
    opening: &'static str,
    closing: &'static str,
    /// Pieces with `§` where a name stands and `#` where a number stands.
    pieces: &'static [&'static str],
}

/// How often a kind is met follows from how often it stands here.
pub(super) const KINDS: &[Kind] = &[PHP, PHP, PHP, PHP, PHP, SCRIPT, SCRIPT, TEMPLATE, TEMPLATE, STYLE, DATA];

const PHP: Kind = Kind {
    ending: "php",
    opening: "<?php\n",
    closing: "}\n",
    pieces: &[
        "declare(strict_types=1);\n\nnamespace Demo\\§\\§;\n\nuse Demo\\§\\Api\\§Interface;\nuse Demo\\§\\Model\\§Factory;\n\nclass § extends Abstract§ implements §Interface\n{\n",
        "    /**\n     * @var §Interface\n     */\n    private $§;\n\n",
        "    /**\n     * @param § $§\n     * @param int $§\n     * @return §|null\n     * @throws §Exception\n     */\n    public function get§(§ $§, int $§ = #): ?§\n    {\n        if ($this->§ === null) {\n            $this->§ = $this->§Factory->create(['§' => $§]);\n        }\n        return $this->§->get§($§);\n    }\n\n",
        "    protected function _§(array $§): array\n    {\n        $§ = [];\n        foreach ($§ as $§ => $§) {\n            if (!isset($§['§'])) {\n                continue;\n            }\n            $§[$§] = sprintf('%s-%d', $§['§'], $§ + #);\n        }\n        return $§;\n    }\n\n",
        "        $select = $this->connection->select()->from(['§' => $this->getTable('§_§')], ['§', '§'])\n            ->where('§.§_id = ?', $§)->order('§ ASC')->limit(#);\n",
        "    const § = '§/§/§';\n",
        "        // § § § before the § is §, since § may §.\n",
        "    /**\n     * {@inheritdoc}\n     */\n    public function set§($§)\n    {\n        return $this->setData(self::§, $§);\n    }\n\n",
    ],
};

const SCRIPT: Kind = Kind {
    ending: "js",
    opening: "define(['jquery', 'underscore', 'mage/translate'], function ($, _, $t) {\n    'use strict';\n\n",
    closing: "});\n",
    pieces: &[
        "    /** § the § of a §. */\n    function §(§, §) {\n        var § = $('#§-§').find('.§'), § = #;\n\n        if (!§ || §.length < #) {\n            return §;\n        }\n        §.each(function (index, element) {\n            $(element).data('§', §[index]).toggleClass('is-§', index > #);\n        });\n    }\n\n",
        "    $(document).on('click.§', '[data-§=\"§\"]', function (event) {\n        event.preventDefault();\n        §.§(this.dataset.§, $t('§ §'));\n    });\n\n",
        "        options: { §: '§', §: #, §: true, §: ['§', '§'] },\n",
    ],
};

const STYLE: Kind = Kind {
    ending: "css",
    opening: "",
    closing: "",
    pieces: &[
        ".§-§ .§ {\n    margin: #px #px 0;\n    padding: #px;\n    color: ##;\n    display: inline-block;\n}\n\n",
        "@media (min-width: #px) {\n    .§ > .§-§ { width: #%; float: left; }\n}\n\n",
        ".§:hover, .§.active { background: ## url('../images/§.png') no-repeat #px 0; font-size: #px; }\n",
    ],
};

const TEMPLATE: Kind = Kind {
    ending: "twig",
    opening: "{{ header }}{{ column_left }}\n<div id=\"content\">\n",
    closing: "</div>\n{{ footer }}\n",
    pieces: &[
        "  <div class=\"row mb-3\">\n    <label for=\"input-§\" class=\"col-sm-2 col-form-label\">{{ entry_§ }}</label>\n    <div class=\"col-sm-10\">\n      <input type=\"text\" name=\"§\" value=\"{{ § }}\" placeholder=\"{{ entry_§ }}\" id=\"input-§\" class=\"form-control\"/>\n      <div id=\"error-§\" class=\"invalid-feedback\"></div>\n    </div>\n  </div>\n",
        "  {% for § in §s %}\n    <tr><td class=\"text-end\">{{ §.§ }}</td><td>{{ §.§|escape }}</td></tr>\n  {% endfor %}\n",
        "  {% if § and §.§ > # %}<a href=\"{{ § }}\" class=\"btn btn-§\"><i class=\"fa-solid fa-§\"></i> {{ button_§ }}</a>{% endif %}\n",
        "  <p>§ § § § §, § § § § # § §.</p>\n",
    ],
};

const DATA: Kind = Kind {
    ending: "xml",
    opening: "<?xml version=\"1.0\"?>\n<config xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n",
    closing: "</config>\n",
    pieces: &[
        "    <type name=\"Demo\\§\\Model\\§\">\n        <plugin name=\"§_§\" type=\"Demo\\§\\Plugin\\§\" sortOrder=\"#\"/>\n    </type>\n",
        "    <field id=\"§\" translate=\"label\" type=\"select\" sortOrder=\"#\" showInDefault=\"1\">\n        <label>§ §</label>\n        <source_model>Demo\\§\\Model\\§</source_model>\n    </field>\n",
        "    <preference for=\"Demo\\§\\Api\\§Interface\" type=\"Demo\\§\\Model\\§\"/>\n",
    ],
};

impl Kind {
    /// A file of about this size.
    pub(super) fn write(self, size_bytes: usize, language: &Language, choices: &mut Choices) -> String {
        let mut text = String::with_capacity(size_bytes + 1024);
        text += self.opening;
        if self.ending != "twig" {
            text += HEAD;
        }
        // A file speaks of few things, again and again.
        let names: Vec<String> = (0..8 + size_bytes / 120).map(|_| name(language, choices)).collect();
        let count = u32::try_from(names.len()).unwrap_or(1);
        let pieces = u32::try_from(self.pieces.len()).unwrap_or(1);
        let mut piece = 0;
        while text.len() < size_bytes {
            for character in self.pieces[piece as usize].chars() {
                match character {
                    '§' => text += &names[choices.below(count) as usize],
                    '#' => _ = write!(text, "{}", choices.below(1000)),
                    other => text.push(other),
                }
            }
            piece = choices.below(pieces);
        }
        text + self.closing
    }
}

fn name(language: &Language, choices: &mut Choices) -> String {
    let (first, second) = (language.word(choices), language.word(choices));
    let mut second = second.to_owned();
    if let Some(letter) = second.get_mut(..1) {
        letter.make_ascii_uppercase();
    }
    format!("{first}{second}")
}
