// Builds build/outputs/aar/smartmem-model-release.aar: the model, the library that runs it, and a
// Kotlin API. IREE's sources are named in gradle.properties or with -PireeSourceDir=DIR.
plugins {
    id("com.android.library") version "8.7.3"
    id("org.jetbrains.kotlin.android") version "2.0.21"
}

android {
    namespace = "dev.smartmem"
    compileSdk = 35
    ndkVersion = "27.2.12479018"

    defaultConfig {
        minSdk = 31
        ndk { abiFilters += "arm64-v8a" }
        externalNativeBuild {
            cmake {
                arguments += "-DIREE_SOURCE_DIR=${providers.gradleProperty("ireeSourceDir").get()}"
                // Devices with pages of 16 KB load no library that is aligned to less.
                arguments += "-DANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES=ON"
                targets += listOf(@TARGETS@)
            }
        }
    }
    externalNativeBuild { cmake { path = file("../CMakeLists.txt") } }
    // IREE and the library for images are loaded by their path: they must be files.
    packaging { jniLibs { useLegacyPackaging = true } }
    androidResources { noCompress += "vmfb" }
    kotlinOptions { jvmTarget = "17" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}
