// What is sent and how loud both directions are. One AudioContext, made at the first user gesture.

const toneHz = 440;
let context = null;

export async function audioContext() {
  context ??= new AudioContext();
  if (context.state === "suspended") {
    // Without a gesture resume() may wait for ever; the call must not.
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 300))]);
  }
  return context;
}

// A track that carries a sine of this frequency.
async function openTone(hz) {
  const audio = await audioContext();
  const oscillator = new OscillatorNode(audio, { frequency: hz });
  const gain = new GainNode(audio, { gain: 0.25 });
  const out = new MediaStreamAudioDestinationNode(audio);
  oscillator.connect(gain).connect(out);
  oscillator.start();
  return { stream: out.stream, isTone: true, stop: () => oscillator.stop() };
}

// The microphone, or a tone if there is none. {stream, isTone, error, stop}
// forcedTone: a frequency that is sent without asking for the microphone.
export async function openSource(forcedTone) {
  if (forcedTone) return openTone(forcedTone);
  let error;
  try {
    if (!navigator.mediaDevices) throw { name: "NoMediaDevices" };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    return { stream, isTone: false, stop: () => stream.getTracks().forEach((track) => track.stop()) };
  } catch (failure) {
    error = failure;
  }
  return { ...(await openTone(toneHz)), error };
}

// Listens to a stream without changing it.
export async function watchLevel(stream) {
  const audio = await audioContext();
  const source = new MediaStreamAudioSourceNode(audio, { mediaStream: stream });
  const analyser = new AnalyserNode(audio, { fftSize: 4096, smoothingTimeConstant: 0 });
  source.connect(analyser);
  const samples = new Float32Array(1024);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  return {
    // 0..1, -60 dBFS is 0
    level() {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-12)) / 60));
    },
    // The loudest frequency, or 0 in silence.
    loudestHz() {
      analyser.getFloatFrequencyData(spectrum);
      let best = 0;
      for (let i = 1; i < spectrum.length; ++i) if (spectrum[i] > spectrum[best]) best = i;
      return spectrum[best] < -60 ? 0 : (best * audio.sampleRate) / analyser.fftSize;
    },
    stop: () => source.disconnect(),
  };
}
