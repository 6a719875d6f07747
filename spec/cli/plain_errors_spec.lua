-- Uncaught errors of scripts: what they hold may come from anywhere.

local program = require "spec.support.program"

local hostile = "\27[2J\27]0;x\7a\r\nb\u{202E}c\u{200B}\u{61C}\u{2066}\u{E0041}\u{9B}d\xFF\tö"

describe("an uncaught error", function()
  it("has no characters that control a terminal, or hide or rearrange text", function()
    for _, code in ipairs{ "error(%q, 0)", "error(%q)",
      "error(setmetatable({}, { __tostring = function() return %q end }))",
      "require('proxylua').journal.show(%q)" } do
      local result = program.run{ "-e", code:format(hostile) }
      assert.not_equal(0, result.code)
      assert.is_nil(result.err:find("[\27\7\r]"), code)
      for _, text in ipairs{ "\u{202E}", "\u{200B}", "\u{61C}", "\u{2066}", "\u{E0041}", "\u{9B}",
        "\xFF" } do
        assert.is_nil(result.err:find(text, 1, true), code)
      end
    end
    local plain = program.run{ "-e", ("error(%q, 0)"):format(hostile) }.err
    assert.matches("^proxylua: %?%[2J%?%]0;x%?a%?\nb%?c%?%?%?%?%?d%?\tö\n", plain)
  end)
end)
