/**
 * A Jupyter message as one binary WebSocket message (jupyter_server's documentation, "WebSocket kernel wire
 * protocols"): the number of offsets, the offsets, 64 bits each and little-endian, then channel, header, parent_header,
 * metadata, content and the buffers.
 */

import { decode } from "./envelope.js";
import { ProtocolError } from "./errors.js";
import type { Bytes, Message } from "./message.js";

export const WEBSOCKET_SUBPROTOCOL = "v1.kernel.websocket.jupyter.org";

const encoder = new TextEncoder();

/** Encode a message. Throws TypeError where it has no JSON form. */
export function encodeWebSocket(message: Message): Bytes {
  const { channel, header, parent_header, metadata, content, buffers } = message;
  const parts = [
    encoder.encode(channel),
    ...[header, parent_header, metadata, content].map((part) => encoder.encode(JSON.stringify(part))),
    ...buffers.map((buffer) => new Uint8Array(buffer)),
  ];
  const start = 8 * (parts.length + 2);
  const data = new Uint8Array(parts.reduce((size, part) => size + part.length, start));
  const numbers = new DataView(data.buffer);
  numbers.setBigUint64(0, BigInt(parts.length + 1), true);
  let offset = start;
  for (const [i, part] of parts.entries()) {
    numbers.setBigUint64(8 * (i + 1), BigInt(offset), true);
    data.set(part, offset);
    offset += part.length;
  }
  numbers.setBigUint64(8 * (parts.length + 1), BigInt(offset), true);
  return data;
}

/** Decode a message. Throws `ProtocolError`. */
export function decodeWebSocket(data: ArrayBuffer): Message {
  const [channel, header, parent_header, metadata, content, ...buffers] = split(data);
  // joined to an envelope, so that there is one check of what a message is
  const name = String.fromCharCode(...new Uint8Array(channel ?? new ArrayBuffer(0)));
  const pieces: (ArrayBuffer | Uint8Array)[] = [encoder.encode(`{"channel":${JSON.stringify(name)}`)];
  for (const [field, part] of Object.entries({ header, parent_header, metadata, content })) {
    pieces.push(encoder.encode(`,"${field}":`), part ?? new ArrayBuffer(0));
  }
  return decode({ message: concatenated([...pieces, encoder.encode("}")]), buffers });
}

function split(data: ArrayBuffer): ArrayBuffer[] {
  const numbers = new DataView(data);
  const room = Math.floor(data.byteLength / 8);
  const count = room > 0 ? Number(numbers.getBigUint64(0, true)) : 0;
  if (count < 6 || count >= room) {
    throw new ProtocolError(`${data.byteLength} bytes cannot be a message of ${count} offsets.`);
  }
  const offsets = Array.from({ length: count }, (_, i) => Number(numbers.getBigUint64(8 * (i + 1), true)));
  return offsets.slice(1).map((end, i) => {
    const start = offsets[i] ?? 0;
    if (start > end || end > data.byteLength) {
      throw new ProtocolError("The offsets of a WebSocket message do not fit its length.");
    }
    return data.slice(start, end);
  });
}

function concatenated(pieces: (ArrayBuffer | Uint8Array)[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(new Uint8Array(piece), offset);
    offset += piece.byteLength;
  }
  return whole;
}
