package dev.smartmem

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What went wrong in IREE's runtime. */
class ModelException(message: String) : RuntimeException(message)

/**
 * An input or output of the model.
 *
 * @property shape its extents, the outermost first.
 * @property bytes its size; elements lie row by row, in the machine's byte order.
 * @property elementType IREE's number of the element type, as in app/signature.h.
 */
class Tensor internal constructor(
    val name: String,
    val shape: LongArray,
    val bytes: Int,
    val elementType: Int
) {
    /** A new buffer of its size, as [Model.run] takes it. */
    fun buffer(): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
}

/**
 * A model that SmartMem compiled. One thread at a time may use it; several models can run
 * beside each other.
 */
class Model private constructor(private var handle: Long) : AutoCloseable {
    /** What it takes, in order. */
    val inputs: List<Tensor> = tensors(Native.INPUTS)

    /** What it returns, in order. */
    val outputs: List<Tensor> = tensors(Native.OUTPUTS)

    /**
     * Runs the model once.
     *
     * @param inputs a direct buffer for each input, read from its beginning.
     * @param outputs a direct buffer for each output, written from its beginning; new ones by
     *   default.
     * @return the outputs.
     * @throws IllegalArgumentException a wrong number of buffers, or one that is not direct or
     *   too small.
     * @throws ModelException the device failed.
     */
    fun run(
        inputs: List<ByteBuffer>,
        outputs: List<ByteBuffer> = this.outputs.map { it.buffer() }
    ): List<ByteBuffer> {
        check(handle != 0L) { "the model is closed" }
        fit(inputs, this.inputs, "input")
        fit(outputs, this.outputs, "output")
        Native.run(handle, inputs.toTypedArray(), outputs.toTypedArray())
        return outputs
    }

    /** Frees the model; a second call does nothing. */
    override fun close() {
        Native.close(handle)
        handle = 0L
    }

    companion object {
        /**
         * Loads a module on the first device that runs it.
         *
         * @param module the file model.vmfb.
         * @param library the file libsmartmem_vulkan.so, for a module that reads its buffers as
         *   images; such models are opened first in a process.
         * @throws ModelException it does not load.
         */
        @JvmStatic
        @JvmOverloads
        fun open(module: File, library: File? = null): Model =
            Model(Native.open(module.path, library?.path))

        private fun tensors(kind: Int): List<Tensor> = List(Native.count(kind)) { number ->
            Tensor(
                Native.name(kind, number),
                Native.shape(kind, number),
                Native.bytes(kind, number),
                Native.elementType(kind, number)
            )
        }

        private fun fit(buffers: List<ByteBuffer>, tensors: List<Tensor>, what: String) {
            require(buffers.size == tensors.size) {
                "the model has ${tensors.size} ${what}s, ${buffers.size} buffers are given"
            }
            for ((buffer, tensor) in buffers.zip(tensors)) {
                require(buffer.isDirect && buffer.capacity() >= tensor.bytes) {
                    "$what ${tensor.name} needs a direct buffer of ${tensor.bytes} bytes"
                }
            }
        }
    }
}

/** The functions of app/jni.c. */
internal object Native {
    const val INPUTS = 0
    const val OUTPUTS = 1

    init {
        System.loadLibrary("smartmem_model")
    }

    @JvmStatic external fun open(module: String, library: String?): Long
    @JvmStatic external fun run(handle: Long, inputs: Array<ByteBuffer>, outputs: Array<ByteBuffer>)
    @JvmStatic external fun close(handle: Long)
    @JvmStatic external fun count(kind: Int): Int
    @JvmStatic external fun name(kind: Int, number: Int): String
    @JvmStatic external fun shape(kind: Int, number: Int): LongArray
    @JvmStatic external fun bytes(kind: Int, number: Int): Int
    @JvmStatic external fun elementType(kind: Int, number: Int): Int
}
