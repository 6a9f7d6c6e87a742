// Renders like tests/tools/render_templates.cc, with @huggingface/jinja.
// usage: TZ=UTC NODE_PATH=<folder with @huggingface/jinja> node oracle.js < lines > lines
const readline = require("node:readline");

// The library's strftime_now reads the clock: it stands where the variables put it.
let clock = 0;
const SystemDate = Date;
globalThis.Date = class extends SystemDate {
  constructor(...parts) {
    super(...(parts.length > 0 ? parts : [clock * 1000]));
  }
};
const { Template } = require("@huggingface/jinja");

let source;
let template;
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const item = JSON.parse(line);
  const { strftime_now: now, ...variables } = item.variables;
  clock = now;
  let answer;
  try {
    if (item.template !== source) {
      source = item.template;
      template = undefined;
      template = new Template(source);
    }
    if (template === undefined) throw new Error("does not parse");
    answer = { text: template.render(variables) };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
