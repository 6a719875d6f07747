// CPU of a proxy for each request, in microseconds: build/proxylua gateway beside squid, tinyproxy
// and microsocks, each in front of the same parent (microsocks reaches the target itself).
// Usage: node bench/gateway.js [REQUESTS]. Needs Node.js, and measures what is installed.
//   HTTP     requests with absolute URLs over 32 connections that are kept
//   CONNECT  a tunnel and one request through it, over a connection of its own each
// The parent responds itself, so that its CPU and that of the client are not in the figures.
"use strict";
const { spawn, spawnSync } = require("child_process");
const fs = require("fs");
const net = require("net");
const os = require("os");
const path = require("path");

const REQUESTS = Number(process.argv[2] || 20000), AT_ONCE = 32;
const REPLY = "HTTP/1.1 200 OK\r\nContent-Length: 512\r\nContent-Type: text/plain\r\n\r\n"
  + "x".repeat(512);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "gateway-bench-"));
fs.chmodSync(folder, 0o777);
const ticks = Number(spawnSync("getconf", ["CLK_TCK"]).stdout);

function parent() {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      let text = "";
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("data", (piece) => {
        text += piece.toString("latin1");
        for (let end; (end = text.indexOf("\r\n\r\n")) >= 0; text = text.slice(end + 4)) {
          socket.write(text.startsWith("CONNECT") ? "HTTP/1.1 200 OK\r\n\r\n" : REPLY);
        }
      });
    });
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const port = server.address().port;
      server.close(() => resolve(port));
    });
  });
}

async function listens(port) {
  for (;;) {
    const ok = await new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => { socket.destroy(); resolve(true); });
      socket.on("error", () => resolve(false));
    });
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function cpu(pid) { // seconds of the process and its children that live
  const list = [pid, ...String(spawnSync("pgrep", ["-P", pid]).stdout).split("\n").filter(Boolean)];
  let sum = 0;
  for (const id of list) {
    const fields = fs.readFileSync(`/proc/${id}/stat`, "latin1").replace(/^.*\) /, "").split(" ");
    sum += Number(fields[11]) + Number(fields[12]);
  }
  return sum / ticks;
}

// One connection after another, or requests on one connection, until none is left.
function client(port, steps, keep, left) {
  return new Promise((resolve, reject) => {
    const open = () => {
      if (left.count <= 0) return resolve();
      let at = 0, text = "";
      const socket = net.connect(port, "127.0.0.1", () => socket.write(steps[0].send));
      socket.setNoDelay(true);
      socket.on("error", reject);
      socket.on("close", () => { if (at < steps.length) open(); });
      socket.on("data", (piece) => {
        text += piece.toString("latin1");
        if (!steps[at].isDone(text)) return;
        text = "";
        at++;
        if (at === steps.length) {
          left.count--;
          if (!keep || left.count <= 0) { socket.destroy(); return open(); }
          at = 0;
        }
        socket.write(steps[at].send);
      });
    };
    open();
  });
}

const get = (url) => `GET ${url} HTTP/1.1\r\nHost: 198.51.100.1\r\n\r\n`;
const isReply = (text) => text.endsWith("xxxxxxxx");
const works = {
  HTTP: (target) => ({ keep: true, steps: [{ send: get(`http://${target}/`), isDone: isReply }] }),
  CONNECT: (target) => ({ keep: false, steps: [
    { send: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
      isDone: (text) => text.endsWith("\r\n\r\n") },
    { send: get("/"), isDone: isReply }] }),
  SOCKS: (target) => {
    const [host, port] = target.split(":");
    const place = [...host.split(".").map(Number), port >> 8, port & 255];
    return { keep: false, steps: [
      { send: Buffer.from([5, 1, 0]), isDone: (text) => text.length >= 2 },
      { send: Buffer.from([5, 1, 0, 1, ...place]), isDone: (text) => text.length >= 10 },
      { send: get("/"), isDone: isReply }] };
  },
};

async function measure(name, work, target, port, pid) {
  const { keep, steps } = works[work](target);
  const run = (count) => {
    const left = { count };
    return Promise.all(Array.from({ length: AT_ONCE }, () => client(port, steps, keep, left)));
  };
  await run(1000);
  const before = cpu(pid);
  await run(REQUESTS);
  const used = (cpu(pid) - before) / REQUESTS * 1e6;
  console.log(`${work.padEnd(8)} ${name.padEnd(12)} ${used.toFixed(1).padStart(8)} us`);
}

async function main() {
  const up = await parent(), target = `127.0.0.1:${up}`;
  const port = { gateway: await freePort(), squid: await freePort(), tinyproxy: await freePort(),
    microsocks: await freePort() };
  const write = (name, text) => {
    fs.writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const list = write("list", `http://127.0.0.1:${up}\n`);
  const squid = write("squid.conf", `http_port 127.0.0.1:${port.squid}\npid_filename none\n`
    + `cache deny all\ncache_log /dev/null\naccess_log none\npinger_enable off\n`
    + `coredump_dir ${folder}\nnetdb_filename none\nhttp_access allow all\nnever_direct allow all\n`
    + `cache_peer 127.0.0.1 parent ${up} 0 no-query default\nshutdown_lifetime 0 seconds\n`);
  const tiny = write("tiny.conf", `Port ${port.tinyproxy}\nListen 127.0.0.1\nMaxClients 200\n`
    + `LogLevel Critical\nUpstream http 127.0.0.1:${up}\n`);
  const commands = {
    gateway: ["build/proxylua", "gateway", "--from", list, "--listen", `127.0.0.1:${port.gateway}`,
      "--allow", "*", "--allow", "127.0.0.1"],
    squid: ["/usr/sbin/squid", "-N", "-f", squid],
    tinyproxy: ["tinyproxy", "-d", "-c", tiny],
    microsocks: ["microsocks", "-i", "127.0.0.1", "-p", String(port.microsocks)],
  };
  for (const [name, words] of Object.entries(commands)) {
    const child = spawn(words[0], words.slice(1), { stdio: "ignore" });
    let missing = false;
    child.on("error", () => { missing = true; });
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (missing) { console.log(`${name} is not installed`); continue; }
    await listens(port[name]);
    for (const work of name === "microsocks" ? ["SOCKS"] : ["HTTP", "CONNECT"]
      .concat(name === "gateway" ? ["SOCKS"] : [])) {
      await measure(name, work, target, port[name], child.pid);
    }
    child.kill();
  }
  fs.rmSync(folder, { recursive: true });
  process.exit(0);
}
main();
