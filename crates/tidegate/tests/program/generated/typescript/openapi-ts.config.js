// What hey-api makes: one client of each contract, for Node's way of importing.
export default ["rivergen", "ingestiq", "crossing_minds", "riven"].map((contract) => ({
  input: `${contract}.json`,
  output: { path: `made/hey_${contract}`, importFileExtension: ".js" },
  logs: { file: false },
}));
