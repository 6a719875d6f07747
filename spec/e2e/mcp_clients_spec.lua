-- The server for agents, used by the clients of the protocol's official SDK: 1.x, which begins with
-- initialize, and 2.x, which discovers. `make check-mcp` runs it and fetches them; they check each
-- message against the protocol's schema.

local core = require "proxylua.core"
local program = require "spec.support.program"

if not os.getenv("MCP_LONG") then
  describe("the server for agents", function()
    pending("is used by the official clients with MCP_LONG=1, as make check-mcp does")
  end)
  return
end

local FOLDER = "build/mcp"

local SCRIPT = [[
import { Client } from "%s";
import { StdioClientTransport } from "%s";
%s
const transport = new StdioClientTransport({ command: process.argv[2], stderr: "inherit",
  args: ["mcp", "--sandbox", "--spend", "50", "--ask"], env: process.env });
const client = new Client({ name: "spec", version: "1" },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } });
const found = { asked: [], tools: {}, progress: 0 };
let answer = { action: "accept", content: { confirm: true } };
client.setRequestHandler(%s, async request => {
  found.asked.push(request.params.message);
  return answer;
});
await client.connect(transport);
found.server = client.getServerVersion().name;
found.count = (await client.listTools()).tools.length;
const call = async (name, args, options) => {
  const result = await client.callTool({ name, arguments: args }, %s options);
  found.tools[name] = result.isError ? JSON.parse(result.content[0].text).kind : "good";
  return result;
};
const isp = { type: "isp", quantity: 2, country: "US", period: 30 };
await call("orders_calc", isp);
const first = await call("orders_create", isp), again = await call("orders_create", isp);
found.same = first.structuredContent.id === again.structuredContent.id;
found.repeated = [first.structuredContent.repeated, again.structuredContent.repeated];
const id = first.structuredContent.id;
for (const name of ["account_get", "account_transactions", "orders_list", "reference_countries",
  "reference_proxy_types", "reference_periods", "deposits_addresses", "report", "limits",
  "journal_list"]) await call(name, {});
await call("orders_get", { id });
await call("orders_proxies", { id });
await call("check", {}, { onprogress: () => found.progress++ });
const pools = [{ name: "de", type: "isp", country: "DE", quantity: 1, period: 30 }];
await call("fleet_plan", { pools });
await call("fleet_apply", { pools });
await call("renew_plan", { within: "3d" });
await call("renew", { within: "3d" });
answer = { action: "decline" };
await call("orders_extend", { id, period: 30 });
for (const resource of (await client.listResources()).resources)
  await client.readResource({ uri: resource.uri });
await client.listResourceTemplates();
await client.listPrompts();
await client.getPrompt({ name: "restock", arguments: { type: "isp", quantity: "2" } });
found.completed = (await client.complete({ ref: { type: "ref/prompt", name: "restock" },
  argument: { name: "type", value: "i" } })).completion.values;
const aborted = new AbortController();
const pending = client.callTool({ name: "check", arguments: {} }, %s { signal: aborted.signal });
aborted.abort();
await pending.catch(() => found.aborted = true);
await client.close();
console.log(JSON.stringify(found));
]]

local clients = {
  ["1.x"] = { "@modelcontextprotocol/sdk/client/index.js",
    "@modelcontextprotocol/sdk/client/stdio.js",
    'import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";',
    "ElicitRequestSchema", "undefined,", "undefined," },
  ["2.x"] = { "@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio", "",
    '"elicitation/create"', "", "" },
}

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  assert(pipe:close(), text)
  return text
end

describe("the server for agents", function()
  setup(function()
    run(("mkdir -p %s && cd %s && npm install --no-package-lock --no-audit --no-fund --silent "
      .. "@modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0"):format(FOLDER,
      FOLDER))
  end)

  for version, words in pairs(clients) do
    it("is used by the official client " .. version, function()
      if version == "2.x" and tonumber(run("node --version"):match("^v(%d+)")) < 20 then
        return pending("the client 2.x needs Node.js 20")
      end
      local path = ("%s/%s.mjs"):format(FOLDER, version)
      program.write(path, SCRIPT:format(table.unpack(words)))
      local text = run(("HOME=%s timeout 60 node %s %s"):format(program.folder(), path,
        program.path))
      local found = core.json.decode(text:match("[^\n]+\n$"))
      assert.are.equal("proxylua", found.server)
      assert.is_true(found.count > 20 and found.same and found.aborted and found.progress > 0)
      assert.same({ false, true }, found.repeated)
      assert.same({ "isp", "ipv6" }, found.completed)
      assert.are.equal(3, #found.asked)
      assert.are.equal("spend_refused", found.tools.orders_extend)
      found.tools.orders_extend = nil
      for name, outcome in pairs(found.tools) do assert.are.equal("good", outcome, name) end
    end)
  end
end)
