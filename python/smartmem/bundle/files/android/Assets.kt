package dev.smartmem

import android.content.Context
import java.io.File

/**
 * The model of this AAR. Its module is unpacked into the app's files first.
 *
 * @throws ModelException it does not load.
 */
fun Model.Companion.open(context: Context): Model {
    val module = File(context.noBackupFilesDir, "model.vmfb")
    context.assets.open("model.vmfb").use { source ->
        module.outputStream().use { source.copyTo(it) }
    }
    val library = File(context.applicationInfo.nativeLibraryDir, "libsmartmem_vulkan.so")
    return open(module, library.takeIf { it.exists() })
}
