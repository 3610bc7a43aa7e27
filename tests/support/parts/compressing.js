// The same as compressing.py with npm's package ws: node -e ... PORT OPTIONS ...; options are named as in RFC 7692, and null is none.

const { randomBytes } = require('crypto');
const { WebSocketServer } = require('ws');

function madeUp(kind, content, length) {
  if (content === 'noise') {
    return kind === 'text' ? randomBytes(length).toString('hex').slice(0, length) : randomBytes(length);
  }
  const line = 'Größe: 7 €, price: 42, name: compressing\n';
  const text = line.repeat(length / line.length + 1).slice(0, length);
  return kind === 'text' ? text : Buffer.from(text).subarray(0, length);
}

function serve(socket) {
  let expected = null;
  socket.on('message', (data, isBinary) => {
    const text = isBinary ? '' : data.toString();
    if (expected) {
      const same = isBinary === expected.isBinary && data.equals(expected.data);
      expected = null;
      socket.send(same ? 'same' : 'different');
    } else if (!text.startsWith('!')) {
      socket.send(data, { binary: isBinary });
    } else {
      const [kind, content, length, count] = text.slice(1).split(' ');
      const message = madeUp(kind, content, Number(length));
      expected = { isBinary: kind === 'binary', data: Buffer.from(message) };
      const size = Math.ceil(message.length / count) || 1;
      for (let start = 0; start < message.length || start === 0; start += size) {
        socket.send(message.slice(start, start + size), { fin: start + size >= message.length });
      }
    }
  });
}

function named(options) {
  const pairs = Object.entries(options).map(([name, value]) => {
    return [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value];
  });
  return { threshold: 0, ...Object.fromEntries(pairs) };
}

for (let index = 1; index < process.argv.length; index += 2) {
  const options = JSON.parse(process.argv[index + 1]);
  const perMessageDeflate = options && named(options);
  const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[index]), perMessageDeflate });
  server.on('connection', serve);
}
