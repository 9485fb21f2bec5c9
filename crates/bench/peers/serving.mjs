// What both peers share: one process, or one for each core, that tells where it listens as Tidegate does.
import cluster from 'node:cluster';
import { createServer } from 'node:http';

// SQLite as Tidegate sets it: a write-ahead log that is flushed before a commit is acknowledged, and a wait for other processes' locks.
export const durable = (database) => {
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('busy_timeout = 10000');
  return database;
};

const told = (port) => console.log(`listening on http://127.0.0.1:${port}`);

// `handler` makes the function that answers requests. Ends with the process that started it, which kills it.
export const serve = async (processes, handler) => {
  if (processes > 1 && cluster.isPrimary) {
    let waiting = processes;
    cluster.on('listening', (_, address) => {
      waiting -= 1;
      if (waiting === 0) told(address.port);
    });
    cluster.on('exit', () => process.exit(1));
    for (let process_ = 0; process_ < processes; process_ += 1) cluster.fork();
    return;
  }
  const server = createServer(await handler());
  // Connections are kept open for as long as the load lasts.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1', () => {
    if (cluster.isPrimary) told(server.address().port);
  });
};
